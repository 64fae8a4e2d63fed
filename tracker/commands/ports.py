"""The port that a command listens at: asked for before anything else takes its time, so it loads nothing."""

import errno
import socket

from tracker.commands import CommandError


def require_port(host: str, port: int) -> None:
    """Raises :class:`CommandError` when nothing can listen there."""
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # as the server will: a port that just closed is free
            probe.bind(address)
    except (OSError, OverflowError) as error:
        raise port_is_taken(host, port, error) from None


def port_is_taken(host: str, port: int, error: BaseException | None = None) -> CommandError:
    """The sentence with which a command ends that cannot listen; ``error`` says why, if that is known."""
    match error:
        case OSError(errno=errno.EADDRNOTAVAIL) | socket.gaierror():
            return CommandError(f"{host} is no address of this machine. Choose another with --host, such as 127.0.0.1.")
        case OSError(errno=errno.EADDRINUSE):
            why = f"cannot be used: another program has it, which `lsof -i :{port}` names"
        case PermissionError():
            why = "cannot be used: ports below 1024 are for the administrator of this machine"
        case _:
            why = "cannot be used; it may be taken"
    return CommandError(f"The port {port} of {host} {why}. Choose another with --port.")
