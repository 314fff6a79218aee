#!/usr/bin/env python3
"""nghttpd behind BWS, by h2c and by TLS with ALPN; curl in front, over HTTP/1.1 and HTTP/2.   needs: nghttpd, nghttp, curl, openssl"""

import hashlib
import os
import subprocess
import tempfile
import time

from bws import Bws, free_port

BIG = os.urandom(3 << 20)


def curl(*arguments):
    return subprocess.run(["curl", "-sS", "--max-time", "20", *arguments], capture_output=True, check=True).stdout


with tempfile.TemporaryDirectory() as folder:
    with open(f"{folder}/big.bin", "wb") as file:
        file.write(BIG)
    key, certificate = f"{folder}/key.pem", f"{folder}/certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate,
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:FALSE"], check=True, capture_output=True)
    for scheme in ["h2c", "https"]:
        port = free_port()
        arguments = ["--no-tls", str(port)] if scheme == "h2c" else [str(port), key, certificate]
        server = subprocess.Popen(["nghttpd", "-a", "127.0.0.1", "-d", folder, "--trailer", "x-sum: 7", "--echo-upload", *arguments], stdout=subprocess.DEVNULL)
        try:
            tls = f'tls = {{ ca_file = "{certificate}", http2 = true }}' if scheme == "https" else ""
            with Bws(f'upstreams = [{{ name = "up", url = "{scheme}://localhost:{port}" }}]\n{tls}') as bws:
                time.sleep(0.3)
                url = f"http://127.0.0.1:{bws.port}"
                for version in ["--http1.1", "--http2-prior-knowledge"]:
                    for _ in range(5):
                        assert hashlib.sha256(curl(version, "-H", "Host: localhost", f"{url}/big.bin")).digest() == hashlib.sha256(BIG).digest()
                    echoed = curl(version, "-H", "Host: localhost", "--data-binary", f"@{folder}/big.bin", f"{url}/echo")
                    assert echoed == BIG, len(echoed)
                # curl does not show them.
                frames = subprocess.run(["nghttp", "-nv", f"http://localhost:{bws.port}/big.bin"], capture_output=True, check=True).stdout
                assert b"x-sum: 7" in frames, frames
                bws.reload()
                assert curl("-H", "Host: localhost", f"{url}/big.bin") == BIG
                print(f"nghttpd by {scheme}: 3 MiB both ways by HTTP/1.1 and HTTP/2, trailers, a reload: all right")
        finally:
            server.terminate()
            server.wait()
