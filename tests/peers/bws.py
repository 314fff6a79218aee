"""Starts BWS for the scripts beside this one, as its service would, and ends it with them."""

import os
import pathlib
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("BWS", ROOT / "target/debug/bws")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Bws:
    """One server in a folder of its own; `proxy` is what stands in [sites.proxy] of its only site."""

    def __init__(self, proxy, top="", threads=2):
        self.folder = tempfile.TemporaryDirectory(prefix="bws-peers-")
        self.port = free_port()
        self.proxy, self.top, self.threads = proxy, top, threads
        self.number = 0
        self.write()
        self.environment = dict(os.environ, RUNTIME_DIRECTORY=self.folder.name)
        self.log = open(f"{self.folder.name}/log", "w+")
        command = [BINARY, "--config", self.config]
        self.process = subprocess.Popen(command, env=self.environment, stderr=self.log, stdout=self.log)
        self.wait()

    @property
    def config(self):
        return f"{self.folder.name}/config.toml"

    def write(self):
        """A configuration that differs from the last one, and not in what the site does."""
        with open(self.config, "w") as file:
            file.write(f"""
[performance]
worker_threads = {self.threads}
max_connections = 20000
[security]
max_request_size = "16GB"
[security.security_headers]
X-Number = "{self.number}"
{self.top}
[[sites]]
name = "peers"
hostname = "localhost"
listen = "127.0.0.1:{self.port}"
[sites.proxy]
{self.proxy}
""")

    def wait(self):
        for _ in range(400):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("bws did not start: " + open(self.log.name).read())

    def reload(self):
        self.number += 1
        self.write()
        done = subprocess.run([BINARY, "reload"], env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit("reload failed: " + done.stderr)

    def workers(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def memory(self):
        """Resident kB of all workers."""
        total = 0
        for pid in self.workers():
            try:
                lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
        return total

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
