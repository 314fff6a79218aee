#!/usr/bin/env python3
"""WebSockets of the python package 'websockets' through BWS, kept open over reloads.

usage: websocket_tunnels.py [TUNNELS] [SECONDS] [RELOADS]      (1000 60 20; needs: pip install websockets)
"""

import asyncio
import os
import sys
import time

import websockets

from bws import Bws, free_port

TUNNELS, SECONDS, RELOADS = (int(it) for it in (sys.argv[1:] + ["1000", "60", "20"][len(sys.argv) - 1:])[:3])
LARGEST = 16 << 20


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def client(url, number, until, tally):
    try:
        async with websockets.connect(url, max_size=None, ping_interval=None, open_timeout=60) as tunnel:
            tally["open"] += 1
            turn = 0
            while time.monotonic() < until or turn == 0:
                message = f"{number}:{turn}"
                await tunnel.send(message)
                tally["wrong"] += await asyncio.wait_for(tunnel.recv(), 30) != message
                tally["messages"] += 1
                turn += 1
                await asyncio.sleep(1)
    except Exception as error:
        tally["lost"] += 1
        print("lost:", number, repr(error)[:200])


async def large(url, until, tally):
    """One tunnel for messages up to 16 MiB."""
    try:
        async with websockets.connect(url, max_size=None, ping_interval=None) as tunnel:
            size = 1 << 16
            while time.monotonic() < until:
                message = os.urandom(size)
                await tunnel.send(message)
                tally["wrong"] += await asyncio.wait_for(tunnel.recv(), 60) != message
                tally["large"] += 1
                size = min(size * 4, LARGEST)
    except Exception as error:
        tally["lost"] += 1
        print("lost the large one:", repr(error)[:200])


async def main():
    port = free_port()
    async with websockets.serve(echo, "127.0.0.1", port, max_size=None, ping_interval=None, compression=None):
        with Bws(f'upstreams = [{{ name = "up", url = "http://127.0.0.1:{port}" }}]') as bws:
            url = f"ws://localhost:{bws.port}/chat"
            before = bws.memory()
            until = time.monotonic() + SECONDS
            tally = dict.fromkeys(["open", "messages", "large", "wrong", "lost"], 0)
            tasks = [asyncio.create_task(client(url, number, until, tally)) for number in range(TUNNELS)]
            tasks.append(asyncio.create_task(large(url, until - 5, tally)))
            while tally["open"] + tally["lost"] < TUNNELS:
                await asyncio.sleep(0.1)
            with_all = bws.memory()
            for number in range(RELOADS):
                await asyncio.to_thread(bws.reload)
                await asyncio.sleep(max(0, (until - 8 - time.monotonic()) / (RELOADS - number)))
            await asyncio.sleep(2)
            workers = len(bws.workers())
            after = bws.memory()
            await asyncio.gather(*tasks)
            print(f"{TUNNELS} tunnels, {SECONDS} s, {RELOADS} reloads: {tally}")
            print(f"workers' memory: {before} kB, with all tunnels {with_all} kB, after the reloads {after} kB; workers at the end: {workers}")
            return 1 if tally["lost"] or tally["wrong"] else 0


sys.exit(asyncio.run(main()))
