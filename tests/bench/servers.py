"""Servers to measure, side by side: BWS, nginx, HAProxy. Each in a folder and on a port of its own.

Used by the scripts beside this file; Python's standard library only. `BWS=path` chooses the binary.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "tests/bench/results"
PATIENCE = 30


def bws_binary():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = os.environ.get("BWS", str(target / "release/bws"))
    if not os.access(path, os.X_OK):
        raise SystemExit(f"'{path}' is not there: cargo build --release, or set BWS=path")
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A running server. `config(number)` returns the text of configuration `number`."""

    def __init__(self, name, command, config, reload_signal, cpu=None):
        self.name = name
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bws-bench-"))
        self.port = free_port()
        self.config = config
        self.path = self.folder / "server.conf"
        self.configure(0)
        self.reload_signal = reload_signal
        pinned = ["taskset", "-c", str(cpu)] if cpu is not None else []
        environment = dict(os.environ, RUNTIME_DIRECTORY=str(self.folder))
        environment.pop("NOTIFY_SOCKET", None)
        self.log = open(self.folder / "server.log", "w")
        self.process = subprocess.Popen(
            pinned + command(self), env=environment, stdin=subprocess.DEVNULL,
            stdout=self.log, stderr=self.log)
        self.wait_until_it_answers()

    def configure(self, number):
        fresh = self.path.with_suffix(".new")
        fresh.write_text(self.config(self, number))
        fresh.rename(self.path)

    def reload(self):
        self.process.send_signal(self.reload_signal)

    def wait_until_it_answers(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                return socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.01)
        raise SystemExit(f"{self.name} does not start:\n" + (self.folder / "server.log").read_text())

    def processes(self):
        """Its pids: itself, its children, theirs."""
        found, pending = [], [self.process.pid]
        while pending:
            pid = pending.pop()
            found.append(pid)
            try:
                for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                    pending += map(int, path.read_text().split())
            except OSError:
                # It ended while we looked.
                pass
        return found

    def said(self):
        """The end of what it wrote."""
        return (self.folder / "server.log").read_text()[-3000:]

    def stop(self):
        family = self.processes()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            for pid in family:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def content(server):
    """The folder that every site serves: a file of 1 KiB."""
    root = server.folder / "content"
    root.mkdir(exist_ok=True)
    for name in ("index.html", "small.bin"):
        if not (root / name).exists():
            (root / name).write_bytes(b"a" * 1024)
    return root


# What BWS sets by itself on the response of an upstream.
PROXIED = {"Via": "1.1 proxy", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "SAMEORIGIN",
           "Referrer-Policy": "strict-origin-when-cross-origin"}


def proxying(proxy_to, method):
    """BWS's tables for a site that is a proxy to these ports."""
    servers = ", ".join(f'{{ name = "pool", url = "http://127.0.0.1:{port}" }}' for port in proxy_to)
    return (f'[sites.proxy]\nenabled = true\nupstreams = [{servers}]\n'
            f'load_balancing = {{ method = "{method}" }}\n')


def bws(sites=1, threads=None, connections=20000, cpu=None, access_log=None, proxy_to=None, method="round_robin",
        pairs=None):
    """`pairs`: certificates of the sites, which speak TLS then."""

    def tls(number):
        if not pairs:
            return ""
        cert_file, key_file = pairs.of(number)
        return f'ssl = {{ enabled = true, cert_file = "{cert_file}", key_file = "{key_file}" }}\n'

    def config(server, number):
        root = content(server)
        head = f"[performance]\nmax_connections = {connections}\nkeep_alive_timeout = 600\n"
        if threads:
            head += f"worker_threads = {threads}\n"
        if access_log:
            head += (f'[logging]\nlog_requests = true\nformat = "{access_log}"\n'
                     f'access_log = "{server.folder}/access.log"\n')
        return head + "".join(
            f'[[sites]]\nname = "site{i}"\nhostname = "site{i}.test"\n'
            f'listen = "127.0.0.1:{server.port}"\n' + ("" if proxy_to else f'static_dir = "{root}"\n') +
            f'headers = {{ x-config = "{number if i == 0 else 0}" }}\n' + tls(i)
            + (proxying(proxy_to, method) if proxy_to else "") for i in range(sites))

    def command(server):
        return [bws_binary(), "--config", str(server.path)]

    return Server("BWS", command, config, signal.SIGHUP, cpu)


def nginx(sites=1, workers="auto", connections=20000, cpu=None, access_log=False, proxy_to=None, method="",
          pairs=None):
    """`method` is a directive of its `upstream` block, as "least_conn;"."""

    def tls(number):
        if not pairs:
            return ""
        cert_file, key_file = pairs.of(number)
        return f"ssl_certificate {cert_file}; ssl_certificate_key {key_file};\n"

    def config(server, number):
        root, folder = content(server), server.folder
        temporary = "".join(f"{name}_temp_path {folder}/{name};\n"
                            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        log = f"{folder}/access.log combined buffer=64k flush=1s" if access_log else "off"
        return (
            f"daemon off;\nuser root;\nworker_processes {workers};\npid {folder}/nginx.pid;\n"
            f"worker_rlimit_nofile {connections + 1000};\n"
            f"error_log {folder}/error.log error;\nevents {{ worker_connections {connections}; }}\n"
            f"http {{\n{temporary}access_log {log}; sendfile on; tcp_nopush on; tcp_nodelay on;\n"
            "keepalive_requests 1000000000; keepalive_timeout 600;\n"
            "open_file_cache max=1000 inactive=60s; open_file_cache_valid 1s;\n"
            "server_names_hash_max_size 65536; server_names_hash_bucket_size 128;\n"
            + ("ssl_protocols TLSv1.2 TLSv1.3;\n" if pairs else "")
            + (f"upstream pool {{ {method} "
               + "".join(f"server 127.0.0.1:{port}; " for port in proxy_to) + "keepalive 64; }\n"
               'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;\n'
               "proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;\n"
               'proxy_set_header X-Forwarded-Host $host; proxy_set_header Via "1.1 proxy";\n' if proxy_to else "")
            + "".join(
                f"server {{ listen 127.0.0.1:{server.port}{' ssl' if pairs else ''}; server_name site{i}.test; root {root};\n"
                + ("location / { proxy_pass http://pool; }\n" + "".join(
                    f'add_header {name} "{value}";\n' for name, value in PROXIED.items()) if proxy_to else "")
                + tls(i) + f"add_header x-config {number if i == 0 else 0}; }}\n" for i in range(sites))
            + "}\n")

    def command(server):
        return ["/usr/sbin/nginx", "-p", str(server.folder), "-c", str(server.path),
                "-e", str(server.folder / "error.log")]

    return Server("nginx", command, config, signal.SIGHUP, cpu)


def haproxy(sites=1, cpu=None, proxy_to=None, method="roundrobin", pairs=None):
    """HAProxy serves no files: each site answers 1 KiB from memory, or is a proxy."""

    def config(server, number):
        (server.folder / "body").write_bytes(b"a" * 1024)
        if proxy_to:
            servers = "".join(f"    server s{port} 127.0.0.1:{port}\n" for port in proxy_to)
            return (
                "global\n    maxconn 4000\n    nbthread 1\ndefaults\n    mode http\n    timeout connect 5s\n"
                "    timeout client 600s\n    timeout server 60s\n    http-reuse always\n    option forwardfor\n"
                f"frontend all\n    bind 127.0.0.1:{server.port}\n    default_backend pool\n"
                f"backend pool\n    balance {method}\n    http-request set-header X-Forwarded-Proto http\n"
                f"    http-request set-header X-Forwarded-Host %[req.hdr(host)]\n"
                '    http-request set-header Via "1.1 proxy"\n'
                f"    http-response set-header x-config {number}\n"
                + "".join(f'    http-response set-header {name} "{value}"\n' for name, value in PROXIED.items())
                + servers)
        return (
            "global\n    maxconn 4000\ndefaults\n    mode http\n    timeout connect 5s\n"
            "    timeout client 600s\n    timeout server 60s\n"
            f"frontend all\n    bind 127.0.0.1:{server.port}{f' ssl crt {pairs.both()}' if pairs else ''}\n    use_backend %[req.hdr(host),lower]\n"
            + "".join(
                f"backend site{i}.test\n    http-request return status 200 content-type text/plain "
                f"file {server.folder}/body hdr x-config {number if i == 0 else 0}\n"
                for i in range(sites)))

    def command(server):
        return ["/usr/sbin/haproxy", "-W", "-db", "-f", str(server.path)]

    return Server("HAProxy", command, config, signal.SIGUSR2, cpu)


def caddy(pairs, cpu=None):
    """Caddy with one thread of Go's and the first of `pairs`, for one site."""

    def config(server, number):
        cert_file, key_file = pairs.of(0)
        return ("{\nadmin off\nauto_https off\ndefault_sni site0.test\n"
                "servers {\nprotocols h1 h2\n}\n}\n"
                f"https://:{server.port} {{\nbind 127.0.0.1\ntls {cert_file} {key_file}\nroot * {content(server)}\n"
                f"header x-config {number}\nfile_server\n}}\n")

    def command(server):
        return ["env", "GOMAXPROCS=1", f"HOME={server.folder}", "caddy", "run", "--adapter", "caddyfile",
                "--config", str(server.path)]

    return Server("Caddy", command, config, signal.SIGUSR1, cpu)


def is_installed(name):
    return shutil.which(name) is not None or os.path.exists(f"/usr/sbin/{name}")


def version(program, *arguments):
    """The first line in which a program says its version; None where it is not installed."""
    if not shutil.which(program):
        return None
    output = subprocess.run([program, *arguments], capture_output=True, text=True)
    return (output.stdout + output.stderr).strip().splitlines()[0]


def versions():
    known = [version(bws_binary(), "--version"), version("/usr/sbin/nginx", "-v"),
             version("/usr/sbin/haproxy", "-v"), caddy_version()]
    return "; ".join(text for text in known if text)


def caddy_version():
    said = version("caddy", "version")
    return said and f"Caddy {said}"


def write_result(name, text):
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.md"
    path.write_text(text)
    print(text)
    print(f"written to {path.relative_to(ROOT)}")
