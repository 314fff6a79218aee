#!/usr/bin/env python3
"""103 Early Hints of Node's servers, HTTP/1.1 and HTTP/2, through BWS: Node's clients and curl see them before the answer.
needs: node, curl"""

import pathlib
import subprocess
import sys

from bws import Bws, free_port


def run(protocol, node_protocol):
    port, control = free_port(), free_port()
    with Bws(f'upstreams = [{{ name = "up", url = "{protocol}://127.0.0.1:{port}" }}]') as bws:
        script = pathlib.Path(__file__).with_name("hints.mjs")
        ports = [str(it) for it in (bws.port, port, control)]
        node = subprocess.Popen(["node", script, *ports, node_protocol], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert node.stdout.readline() == "listening\n"
        # curl asks first: it cannot say that it has seen its hint, so its head is read from a pipe meanwhile.
        versions = ["--http1.1", "--http2-prior-knowledge"]
        for number, version in enumerate(versions, 5000):
            command = ["curl", "-sN", "--noproxy", "*", version, "-D", "-", f"http://localhost:{bws.port}/hint/{number}"]
            curl = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            head = [curl.stdout.readline() for _ in range(3)]
            while "103" not in head[-1]:
                head.append(curl.stdout.readline())
            subprocess.run(["curl", "-s", "--noproxy", "*", f"http://127.0.0.1:{control}/seen/{number}"], check=True)
            rest = curl.communicate(timeout=20)[0]
            assert rest.endswith(f"answer {number}"), rest
            print("curl", version, "saw", head[-1].strip(), "of", node_protocol, "before the upstream had said more")
        node.stdin.write("go\n")
        node.stdin.flush()
        bws.reload()
        print(node.stdout.read(), end="")
        return node.wait()


sys.exit(run("http", "http1") or run("h2c", "http2"))
