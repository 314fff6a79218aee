#!/usr/bin/env python3
"""Bodies through BWS that nobody could keep: an upload and a download of GIB GiB, the workers' memory meanwhile, events
as they come, and clients that leave.

usage: streams.py [GIB]      (5; needs: pip install aiohttp)
"""

import asyncio
import sys
import time

import aiohttp
from aiohttp import web

from bws import Bws

GIB = int((sys.argv + ["5"])[1])
PIECE = b"b" * (1 << 20)
left = asyncio.Event()


async def upload(request):
    total = 0
    async for piece in request.content.iter_any():
        total += len(piece)
    return web.Response(text=str(total))


async def download(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(GIB << 10):
        await response.write(PIECE)
    return response


async def events(request):
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    try:
        for number in range(1000):
            await response.write(f"data: {number} {time.monotonic()}\n\n".encode())
            await asyncio.sleep(0.1)
    finally:
        left.set()
    return response


async def hang(request):
    try:
        await asyncio.sleep(60)
    finally:
        left.set()


async def watch(bws, peak):
    while True:
        peak[0] = max(peak[0], bws.memory())
        await asyncio.sleep(0.1)


async def pieces():
    for _ in range(GIB << 10):
        yield PIECE


async def expect_leaving(what):
    begun = time.monotonic()
    await asyncio.wait_for(left.wait(), 10)
    left.clear()
    print(f"{what}: the upstream knew of the client's end after {time.monotonic() - begun:.1f} s")


async def main():
    app = web.Application(client_max_size=1 << 40)
    app.add_routes([web.post("/upload", upload), web.get("/download", download), web.get("/events", events), web.get("/hang", hang)])
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    with Bws(f'upstreams = [{{ name = "up", url = "http://127.0.0.1:{port}" }}]') as bws:
        url = f"http://127.0.0.1:{bws.port}"
        headers = {"Host": "localhost"}
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=None)) as session:
            idle = bws.memory()
            for name in ["upload", "download"]:
                peak, begun = [0], time.monotonic()
                watcher = asyncio.create_task(watch(bws, peak))
                if name == "upload":
                    async with session.post(f"{url}/upload", data=pieces()) as response:
                        total = int(await response.text())
                else:
                    total = 0
                    async with session.get(f"{url}/download") as response:
                        async for piece in response.content.iter_any():
                            total += len(piece)
                watcher.cancel()
                assert total == GIB << 30, total
                print(f"{name} of {GIB} GiB in {time.monotonic() - begun:.0f} s: workers' memory {idle} kB before, {peak[0]} kB at most")
            latest = 0.0
            async with session.get(f"{url}/events") as response:
                for _ in range(20):
                    line = await response.content.readline()
                    latest = max(latest, time.monotonic() - float(line.split()[2]))
                    await response.content.readline()
                response.close()
            print(f"events: 20, the latest {latest * 1000:.1f} ms after it was sent")
            await expect_leaving("events")
        reader, writer = await asyncio.open_connection("127.0.0.1", bws.port)
        writer.write(b"GET /hang HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.sleep(0.3)
        writer.close()
        await expect_leaving("a request without an answer yet")
    await runner.cleanup()


asyncio.run(main())
