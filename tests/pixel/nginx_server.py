"""A real nginx with `deploy/nginx.conf` as it ships; only names, ports, certificates and log files are put in its place."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.pixel.edge_server import ROOT, Reply, read_reply
from tests.servers.authority import ca
from tests.servers.processes import free_port, require, wait_until

SHIPPED = ROOT / "deploy" / "nginx.conf"
TRACKING, PAGES = "t.example.com", "inkling.example.com"
CLIENT = "127.0.0.9"
"""Where the tests' client connects from: another address than the proxy's own."""

FRAME = """daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/main.error.log;
events {{}}
http {{
    access_log {folder}/main.access.log;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/inkling.conf;
}}
"""


@dataclass
class Nginx:
    """It answers TLS on ``port`` and plain HTTP on ``plain_port``."""

    port: int
    plain_port: int
    folder: Path

    def ask(
        self, target: str, host: str = TRACKING, method: str = "GET", version: str = "1.1", **headers: str
    ) -> Reply:
        lines = [f"{method} {target} HTTP/{version}", f"Host: {host}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        with socket.create_connection(("127.0.0.1", self.port), 20, (CLIENT, 0)) as bare:
            context = ca().client_context()
            with context.wrap_socket(bare, server_hostname="localhost") as connection:
                connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
                return read_reply(connection, head=method == "HEAD")

    def logged(self) -> dict[str, str]:
        """What every log says."""
        return {path.name: path.read_text() for path in sorted(self.folder.glob("*.log"))}


@contextmanager
def nginx_before(upstream: int, folder: Path, *without: str) -> Iterator[Nginx]:
    """nginx before a server on ``upstream``; lines of the shipped file that hold one of ``without`` are left out."""
    folder.chmod(0o755)
    port, plain_port = free_port(), free_port()
    (folder / "inkling.conf").write_text(_in_place(SHIPPED.read_text(), upstream, port, plain_port, folder, without))
    (folder / "nginx.conf").write_text(FRAME.format(folder=folder))
    process = subprocess.Popen([require("nginx"), "-c", folder / "nginx.conf", "-p", folder], stderr=subprocess.PIPE)
    nginx = Nginx(port, plain_port, folder)
    try:
        wait_until(lambda: _answers(nginx) or process.poll() is not None)
        assert process.poll() is None, f"nginx refuses the file: {process.communicate()[1].decode()}"
        yield nginx
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _in_place(text: str, upstream: int, port: int, plain_port: int, folder: Path, without: tuple[str, ...]) -> str:
    lines = [line for line in text.splitlines() if "[::]" not in line and not any(word in line for word in without)]
    changes = {
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
        "listen 80;": f"listen 127.0.0.1:{plain_port};",
        "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
        "/var/log/nginx/": f"{folder}/",
    }
    for host in (TRACKING, PAGES):
        changes[f"/etc/letsencrypt/live/{host}/fullchain.pem"] = str(ca().cert_file)
        changes[f"/etc/letsencrypt/live/{host}/privkey.pem"] = str(ca().key_file)
    whole = "\n".join(lines) + "\n"
    for shipped, local in changes.items():
        assert shipped in whole, (
            f"deploy/nginx.conf says {shipped!r} no more: change tests/pixel/nginx_server.py as well"
        )
        whole = whole.replace(shipped, local)
    return whole


def _answers(nginx: Nginx) -> bool:
    try:
        return nginx.ask("/robots.txt").status in (200, 502)
    except (OSError, ssl.SSLError):
        return False
