"""HTTP/2 for the scripts beside this file: frames by hand, a victim that notes its latencies, and what a server takes meanwhile."""

import select
import socket
import struct
import time

import servers

BIG = 64 << 20
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
CODES = {0: "NO_ERROR", 1: "PROTOCOL_ERROR", 2: "INTERNAL_ERROR", 3: "FLOW_CONTROL_ERROR", 6: "FRAME_SIZE_ERROR",
         7: "REFUSED_STREAM", 8: "CANCEL", 9: "COMPRESSION_ERROR", 11: "ENHANCE_YOUR_CALM"}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def field(name, value):
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def block(method, path):
    return (field(b":method", method) + field(b":scheme", b"http") + field(b":path", path)
            + field(b":authority", b"site0.test"))


def get(stream, path=b"/small.bin", flags=END_STREAM):
    return frame(HEADERS, flags | END_HEADERS, stream, block(b"GET", path))


def settings(*entries):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *entry) for entry in entries))


def frames_of(received):
    """Takes the whole frames out of a bytearray: (kind, flags, stream, payload)."""
    while len(received) >= 9:
        length = int.from_bytes(received[:3], "big")
        if len(received) < 9 + length:
            return
        yield received[3], received[4], int.from_bytes(received[5:9], "big"), bytes(received[9:9 + length])
        del received[:9 + length]


def victim(port, seconds):
    """Latencies of one request at a time, each millisecond at most; None for one that failed."""
    latencies, stream, received = [], -1, bytearray()
    connection = socket.create_connection(("127.0.0.1", port), 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(PREFACE + settings())
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        stream += 2
        begun = time.monotonic()
        credit = frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1024))
        try:
            connection.sendall(get(stream) + credit)
            done = False
            while not done:
                part = connection.recv(65536)
                if not part:
                    raise OSError
                received += part
                for kind, flags, of, _ in frames_of(received):
                    done |= kind == DATA and of == stream and bool(flags & END_STREAM)
        except OSError:
            latencies.append(None)
            return latencies
        latencies.append(time.monotonic() - begun)
        time.sleep(0.001)
    connection.close()
    return latencies


def memory(server):
    total = 0
    for pid in server.processes():
        try:
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        except OSError:
            pass
    return total / 1024


def sink(listener, least):
    """Takes connections, and cuts each when it has sent `least` bytes: what any server has to do for a flood."""
    listener.setblocking(False)
    poll, open_ones = select.epoll(), {}
    poll.register(listener, select.EPOLLIN)
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                connection, _ = listener.accept()
                open_ones[connection.fileno()] = [connection, 0]
                poll.register(connection, select.EPOLLIN)
                continue
            try:
                part = len(open_ones[number][0].recv(16384))
            except OSError:
                part = 0
            open_ones[number][1] += part
            if not part or open_ones[number][1] >= least:
                open_ones.pop(number)[0].close()


def percentile(latencies, part):
    good = sorted(latency for latency in latencies if latency is not None)
    return good[min(len(good) - 1, int(len(good) * part))] * 1000 if good else float("nan")


def with_big(server):
    with open(servers.content(server) / "big.bin", "wb") as big:
        big.truncate(BIG)
    return server


def changed(change, start):
    """The server that `start` starts, with `change(server, text)` as its configuration."""
    configure = servers.Server.configure

    def configure_changed(server, number):
        plain = server.config
        server.config = lambda *arguments: change(server, plain(*arguments))
        configure(server, number)

    servers.Server.configure = configure_changed
    try:
        return start()
    finally:
        servers.Server.configure = configure


def nginx_with_http2(site=""):
    """nginx of Debian: HTTP/2 on a cleartext port is HTTP/2 alone. `site`: more directives of its server."""

    def change(server, text):
        listen = f"{server.port};"
        return text.replace(listen, f"{server.port} http2; {site}").replace("tcp_nopush on;", "")

    return changed(change, lambda: servers.nginx(workers=1))
