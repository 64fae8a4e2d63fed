"""The limit: nginx with its `empty_gif` and an access log."""

from pathlib import Path

_CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    server {{
        listen 127.0.0.1:{port};
        location / {{ empty_gif; }}
    }}
}}
"""


def command(port: int, folder: Path) -> list[str]:
    """Starts nginx in the foreground, with one worker."""
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(port=port, folder=folder))
    return ["nginx", "-c", str(configuration), "-p", str(folder)]
