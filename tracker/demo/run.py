"""`inkling demo`: the whole product on a throw-away folder, with a sandbox world around it."""

import asyncio
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import uvicorn
from sqlmodel import col, select

from pixel.server import server_config
from tracker.demo.incoming import deliver_answers, deliver_enquiries, poll_now
from tracker.demo.seed import PASSWORD, SELLERS, deliver_shop_letters, seed, send_first_mail
from tracker.demo.visitors import VISITORS, visit
from tracker.demo.webmail import create_webmail
from tracker.demo.website import PATH, visit_website
from tracker.demo.world import World
from tracker.models import Message
from tracker.outbound.gateway.server import Gateway
from tracker.runtime.context import AppContext, create_context
from tracker.runtime.settings import read_settings
from tracker.serve import create_combined_app

WINDOW_SCALE = 0.02
"""A minute of waiting becomes 1.2 seconds."""
POLL_SECONDS = 3.0
"""Mailboxes are read so often, instead of every ten minutes."""


def run_demo(host: str, port: int, smtp_port: int = 2525) -> int:
    """Runs until a signal; then everything is thrown away. Returns the exit code."""
    folder = Path(tempfile.mkdtemp(prefix="inkling-demo-"))
    try:
        with World(folder / "sandbox") as world, _context(folder, port) as context:
            gateway = Gateway(context, host, _free_port(host, smtp_port))
            gateway.listen()  # before a port is sought for the recipients' mail, which may be the next to the product's
            webmail_port = _free_port(host, port + 1)
            context = replace(context, sandbox_url=f"http://localhost:{webmail_port}")
            token = seed(context, world)
            servers = [
                _server(create_combined_app(context, gateway), host, port),
                _server(create_webmail(world, context), host, webmail_port),
            ]
            _print_startup(context, f"{host}, port {gateway.port}", token)
            threading.Thread(target=_live, args=(context, world, servers[0]), daemon=True).start()
            asyncio.run(_serve(servers))
            return 0 if all(server.started for server in servers) else 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _context(folder: Path, port: int) -> Iterator[AppContext]:
    environ = {
        "INKLING_DATA_DIR": str(folder / "data"),
        "INKLING_BASE_URL": f"http://127.0.0.1:{port}",
        # Another host name than the product's, as it should be, so that the seller's cookies do not reach pixel and links.
        "INKLING_TRACKING_URL": f"http://localhost:{port}",
        "INKLING_TRUSTED_PROXIES": "127.0.0.1,::1",
        "INKLING_ALLOW_PRIVATE_HOSTS": "127.0.0.0/8",
        "INKLING_WINDOW_SCALE": str(WINDOW_SCALE),
    }
    context = create_context(read_settings(environ, dotenv=None))
    context.database.migrate()
    try:
        yield context
    finally:
        context.database.close()


def _free_port(host: str, wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
                return int(probe.getsockname()[1])
            except OSError:
                continue
    raise OSError(f"no free port on {host}")


def _server(app: object, host: str, port: int) -> uvicorn.Server:
    lifespan = "on" if port else "auto"
    return uvicorn.Server(server_config(app, host, port, lifespan=lifespan, timeout_graceful_shutdown=2))


async def _serve(servers: list[uvicorn.Server]) -> None:
    """Both servers, until the first of them ends."""
    tasks = [asyncio.create_task(server.serve()) for server in servers]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*tasks)


def _print_startup(context: AppContext, gateway: str, token: str) -> None:
    lines = [
        "",
        "  Inkling, with a demo workspace that is thrown away at the end.",
        "",
        f"  The product     {context.settings.base_url}",
        *(f"                  {s.email}   {PASSWORD}   ({s.role})" for s in SELLERS),
        f"  The recipients  {context.sandbox_url}   open their mail there, as they would",
        f"  The website     {context.sandbox_url}{PATH}/ways   come as a visitor, write to the address shown",
        f"  Mail programs   SMTP at {gateway}, no TLS; login {SELLERS[0].email}",
        f"                  password {token}",
        "",
        f"  Waiting windows of the verdicts are shortened to {WINDOW_SCALE:.0%}. Ctrl+C ends it.",
        "",
    ]
    print("\n".join(lines), file=sys.stderr, flush=True)


def _live(context: AppContext, world: World, server: uvicorn.Server) -> None:
    """Some mail leaves, is come upon and answered, and an enquiry arrives, so that the first pages are not empty."""
    while not server.started and not server.should_exit:
        time.sleep(0.1)
    send_first_mail(context)
    threading.Thread(target=_read_often, args=(context, server), daemon=True).start()
    threading.Thread(target=_answer, args=(context, world, server), daemon=True).start()
    for _ in range(100):
        if server.should_exit or _handed_over(context) >= 4:
            break
        time.sleep(0.1)
    for address, visitor, pause in (
        ("anna@bergbau.example", "scanner", 1.0),
        ("tomas@ortega.example", "apple", 0.5),
        ("maria@belova.example", "gmail", 2.0),
    ):
        time.sleep(pause)
        for letter in world.mailbox(address).letters():
            visit(VISITORS[visitor], letter.raw)


def _answer(context: AppContext, world: World, server: uvicorn.Server) -> None:
    deliver_enquiries(world, SELLERS[0].email)
    deliver_answers(world, lambda: server.should_exit)
    deliver_shop_letters(world, SELLERS[0].email)
    visit_website(context, world, lambda: server.should_exit)


def _read_often(context: AppContext, server: uvicorn.Server) -> None:
    """So that a reply of the visitor's is there at once."""
    while not server.should_exit:
        poll_now(context)
        time.sleep(POLL_SECONDS)


def _handed_over(context: AppContext) -> int:
    with context.database.reading() as session:
        return len(session.exec(select(Message.id).where(col(Message.sent_at).is_not(None))).all())
