"""Slow clients over cleartext HTTP/2, as slowhttptest does it over HTTP/1.1.

slow_http2.py PORT head|body|response CONNECTIONS SECONDS

Each connection moves one byte every two seconds until the server ends it; the program ends when all are gone.
"""

import selectors
import socket
import struct
import sys
import time

DATA, HEADERS, SETTINGS, WINDOW_UPDATE, CONTINUATION = 0, 1, 4, 8, 9
END_STREAM, END_HEADERS = 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PAUSE = 2


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def field(name, value):
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def block(method, path):
    return (field(b":method", method) + field(b":scheme", b"http") + field(b":path", path)
            + field(b":authority", b"localhost"))


LENGTH = field(b"content-length", b"8192")
WHOLE_WINDOW, NO_WINDOW = b"", struct.pack(">HI", 4, 0)
# What is sent at first, and then again and again.
MODES = {
    "head": (WHOLE_WINDOW, frame(HEADERS, END_STREAM, 1, block(b"GET", b"/small.bin")), frame(CONTINUATION, 0, 1)),
    "body": (WHOLE_WINDOW, frame(HEADERS, END_HEADERS, 1, block(b"POST", b"/upload") + LENGTH), frame(DATA, 0, 1, b"x")),
    "response": (NO_WINDOW, frame(HEADERS, END_STREAM | END_HEADERS, 1, block(b"GET", b"/big.bin")),
                 frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1))),
}


def main():
    port, mode, connections, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    setting, first, again = MODES[mode]
    selector, open_ones = selectors.DefaultSelector(), set()
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port), 5)
        connection.sendall(PREFACE + frame(SETTINGS, 0, 0, setting) + first)
        connection.setblocking(False)
        selector.register(connection, selectors.EVENT_READ)
        open_ones.add(connection)

    def forget(connection):
        if connection in open_ones:
            open_ones.remove(connection)
            selector.unregister(connection)
            connection.close()

    deadline, due = time.monotonic() + seconds, time.monotonic() + PAUSE
    while open_ones and time.monotonic() < deadline:
        for key, _ in selector.select(0.2):
            try:
                if not key.fileobj.recv(65536):
                    forget(key.fileobj)
            except BlockingIOError:
                pass
            except OSError:
                forget(key.fileobj)
        if time.monotonic() >= due:
            due += PAUSE
            for connection in list(open_ones):
                try:
                    connection.send(again)
                except OSError:
                    forget(connection)


main()
