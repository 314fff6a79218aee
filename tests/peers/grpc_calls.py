#!/usr/bin/env python3
"""gRPC of the package 'grpcio' through BWS: client and server without stubs, calls of all four kinds.

usage: grpc_calls.py [CALLS]      (500; needs: pip install grpcio)
"""

import concurrent.futures
import sys
import threading
import time

import grpc

from bws import Bws

CALLS = int((sys.argv + ["500"])[1])


class Service(grpc.GenericRpcHandler):
    """Bytes in, bytes out; trailing metadata says how often something came."""

    def service(self, call):
        kind = call.method.rsplit("/", 1)[1]
        make = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Down": grpc.unary_stream_rpc_method_handler(self.down),
            "Up": grpc.stream_unary_rpc_method_handler(self.up),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
            "Fails": grpc.unary_unary_rpc_method_handler(self.fails),
            "Hangs": grpc.unary_unary_rpc_method_handler(self.hangs),
        }
        return make.get(kind)

    cancelled = threading.Event()

    def unary(self, request, context):
        context.set_trailing_metadata([("x-seen", dict(context.invocation_metadata()).get("x-number", "none"))])
        return request

    def down(self, request, context):
        for number in range(int(request)):
            yield str(number).encode()

    def up(self, requests, context):
        return str(sum(len(it) for it in requests)).encode()

    def chat(self, requests, context):
        for request in requests:
            yield request + b"!"

    def fails(self, request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "as asked: ünïcode")

    def hangs(self, request, context):
        context.add_callback(self.cancelled.set)
        while context.is_active():
            time.sleep(0.02)
        return b""


def run(channel, bws):
    call = lambda kind, name: getattr(channel, kind)(f"/peers.Peer/{name}")
    unary = call("unary_unary", "Unary")
    for number in range(CALLS):
        answer, done = unary.with_call(b"x" * (number * 37 % 5000), metadata=[("x-number", str(number))], timeout=10)
        assert len(answer) == number * 37 % 5000
        assert dict(done.trailing_metadata())["x-seen"] == str(number)
        if number % 100 == 99:
            bws.reload()
    big = b"b" * (3 << 20)
    assert unary(big, timeout=20) == big
    assert [int(it) for it in call("unary_stream", "Down")(b"2000", timeout=20)] == list(range(2000))
    assert call("stream_unary", "Up")((b"y" * 1000 for _ in range(1000)), timeout=20) == b"1000000"
    turn = threading.Semaphore(1)

    def questions():
        for number in range(200):
            turn.acquire()
            yield str(number).encode()

    for number, answer in enumerate(call("stream_stream", "Chat")(questions(), timeout=30)):
        assert answer == f"{number}!".encode()
        turn.release()
    assert number == 199
    try:
        call("unary_unary", "Fails")(b"", timeout=10)
        raise SystemExit("it should have failed")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
        assert error.details() == "as asked: ünïcode", error
    try:
        call("unary_unary", "Hangs")(b"", timeout=0.5)
        raise SystemExit("it should have hung")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    assert Service.cancelled.wait(5), "the server did not hear of the client's end"


server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
server.add_generic_rpc_handlers([Service()])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
with Bws(f'upstreams = [{{ name = "up", url = "h2c://127.0.0.1:{port}" }}]') as bws:
    with grpc.insecure_channel(f"localhost:{bws.port}") as channel:
        begun = time.monotonic()
        run(channel, bws)
        print(f"gRPC: {CALLS} unary calls over {CALLS // 100} reloads, 3 MiB, both streams, chat in turns, "
              f"status and details, deadline and cancellation: all right in {time.monotonic() - begun:.1f} s")
server.stop(0)
