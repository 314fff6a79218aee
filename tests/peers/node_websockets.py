#!/usr/bin/env python3
"""WebSockets of npm's 'ws' through BWS.    needs: npm install ws, and NODE_FROM=<the folder with node_modules>"""

import os
import pathlib
import subprocess
import sys

from bws import Bws, free_port

port = free_port()
with Bws(f'upstreams = [{{ name = "up", url = "http://127.0.0.1:{port}" }}]') as bws:
    script = pathlib.Path(__file__).with_name("ws.mjs")
    environment = dict(os.environ, NODE_FROM=os.environ.get("NODE_FROM", os.getcwd()))
    node = subprocess.Popen(["node", script, str(bws.port), str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert node.stdout.readline() == "listening\n"
    node.stdin.write("go\n")
    node.stdin.flush()
    bws.reload()
    print(node.stdout.read(), end="")
    sys.exit(node.wait())
