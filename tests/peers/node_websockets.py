#!/usr/bin/env python3
"""WebSockets of npm's 'ws' through BWS, by HTTP/1.1; then with HAProxy between, which takes them by HTTP/2 (RFC 8441).

needs: npm install ws, and NODE_FROM=<the folder with node_modules>; haproxy for the second part"""

import os
import pathlib
import shutil
import subprocess
import tempfile
import time

from bws import Bws, free_port

HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
frontend h2
  bind 127.0.0.1:{front} proto h2
  option httplog
  log stderr format raw local0
  log-format "haproxy %HV %HM %ST"
  default_backend node
backend node
  server node 127.0.0.1:{back}
"""


def talk(url, port):
    with Bws(f'upstreams = [{{ name = "up", url = "{url}" }}]') as bws:
        script = pathlib.Path(__file__).with_name("ws.mjs")
        environment = dict(os.environ, NODE_FROM=os.environ.get("NODE_FROM", os.getcwd()))
        node = subprocess.Popen(["node", script, str(bws.port), str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        assert node.stdout.readline() == "listening\n"
        node.stdin.write("go\n")
        node.stdin.flush()
        bws.reload()
        print(url.split(":")[0], node.stdout.read(), end="")
        if node.wait():
            raise SystemExit(node.returncode)


port = free_port()
talk(f"http://127.0.0.1:{port}", port)

program = shutil.which("haproxy") or "/usr/sbin/haproxy"
if not os.path.exists(program):
    raise SystemExit("no haproxy here")
front, back = free_port(), free_port()
with tempfile.NamedTemporaryFile("w+", suffix=".cfg") as config, tempfile.NamedTemporaryFile("w+") as log:
    config.write(HAPROXY.format(front=front, back=back))
    config.flush()
    haproxy = subprocess.Popen([program, "-f", config.name], stdout=log, stderr=log)
    try:
        time.sleep(0.5)
        talk(f"h2c://127.0.0.1:{front}", back)
    finally:
        haproxy.terminate()
        haproxy.wait()
    lines = [line.strip() for line in open(log.name) if line.startswith("haproxy HTTP")]
    print("as HAProxy saw it:", {line: lines.count(line) for line in sorted(set(lines))})
