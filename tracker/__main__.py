"""The command line of Inkling. Wiring only: words in, one function per command, exit code out.

Exit codes: 0 done, 1 what was asked could not be done, 2 the words of the call are off.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from io import TextIOWrapper
from typing import TYPE_CHECKING

from tracker.commands import CommandError
from tracker.commands.ports import require_port
from tracker.consent.rules import Pack
from tracker.runtime.localized_text import ActionError
from tracker.runtime.settings import SettingError

Command = Callable[[argparse.Namespace], int]

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code. Errors are one sentence on standard error, never a traceback."""
    words = parser().parse_args(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        # Whatever the terminal is set to: what we print is for other programs too.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        if words.listens:
            require_port(words.host, words.port)
        return command_of(words.command)(words)
    except (SettingError, CommandError, ActionError) as error:
        print(error, file=sys.stderr)
    except BrokenPipeError:
        sys.stderr.close()
    except OSError as error:
        print(f"{error.filename or 'Inkling'}: {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        sentence = _trouble_with_the_database(error)
        if sentence is None:
            raise
        print(sentence, file=sys.stderr)
    return 1


def _trouble_with_the_database(error: Exception) -> str | None:
    from sqlalchemy.exc import DBAPIError  # not at the top: a command without a database does not wait for it

    from tracker.runtime.database import NewerDatabase

    if isinstance(error, NewerDatabase):
        return str(error)
    if isinstance(error, DBAPIError):
        return f"The database cannot be used: {' '.join(str(error.orig).split())}"
    return None


def command_of(name: str) -> Command:
    """The function of a command, such as ``people.add_user``. Only the file it lives in is loaded: the pages take their time."""
    module, _, function = name.partition(".")
    command: Command = getattr(import_module(f"tracker.commands.{module}"), function)
    return command


def port(text: str) -> int:
    """A TCP port; 0 lets the system choose."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError(text)
    return number


def workers(text: str) -> int:
    """How many processes share a port, at least 1."""
    number = int(text)
    if not 1 <= number <= 64:
        raise ValueError(text)
    return number


def days(text: str) -> int:
    """A number of days, at least 1."""
    number = int(text)
    if not 1 <= number <= 3650:
        raise ValueError(text)
    return number


def parser() -> argparse.ArgumentParser:
    """The words that Inkling understands."""
    parser = argparse.ArgumentParser(prog="inkling", description="Tells honestly what happened to the mail you sent.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_serving(commands)
    _add_people(commands)
    _add_rights(commands)
    _add_mail(commands)
    _add_checks(commands)
    return parser


def _add(commands: "Commands", name: str, command: str, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command, listens=False)
    return parser


def _group(commands: "Commands", name: str, text: str) -> "Commands":
    return commands.add_parser(name, help=text, description=text).add_subparsers(metavar="COMMAND", required=True)


def _add_serving(commands: "Commands") -> None:
    for name, command, text in (
        (
            "serve",
            "serving.serve",
            "edge, web, worker and gateway in one process; brings a SQLite file up to date first",
        ),
        ("demo", "demo.demo", "as serve, on a throw-away folder with people, mailboxes and mail; prints the logins"),
        ("edge", "edge.edge", "the public edge alone: pixel, links, spool"),
        ("web", "serving.web", "the pages and the API alone"),
    ):
        parser = _add(commands, name, command, text)
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=port, default=8000)
        parser.set_defaults(listens=True)
        if name == "edge":
            parser.add_argument(
                "--workers", type=workers, default=1, metavar="N", help="processes that share the port (1)"
            )
        if name == "demo":
            parser.add_argument(
                "--smtp-port", type=port, default=2525, help="where mail programs submit, if it is free (2525)"
            )
        if name == "serve":
            parser.add_argument("--smtp-port", type=port, help="where mail programs submit (2525); 0 for nowhere")
    parser = _add(commands, "gateway", "gateway.gateway", "the SMTP gateway alone: mail programs submit through it")
    parser.add_argument("--host")
    parser.add_argument("--port", type=port)
    _add(commands, "worker", "gateway.worker", "drains edges, judges, sends, sweeps")
    _add(commands, "migrate", "checks.migrate", "brings the database to the newest revision")


def _add_people(commands: "Commands") -> None:
    users = _group(commands, "user", "people who sell")
    add = _add(users, "add", "people.add_user", "adds a person")
    add.add_argument("email")
    add.add_argument("--name", required=True)
    add.add_argument("--role", choices=("admin", "member"), default="member")
    add.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    _add(users, "list", "people.list_users", "lists the people")
    _add(users, "disable", "people.disable_user", "ends a person's access").add_argument("email")
    tokens = _group(commands, "token", "tokens for the API")
    add = _add(tokens, "add", "people.add_token", "makes a token and prints it, once")
    add.add_argument("--user", required=True, metavar="EMAIL")
    add.add_argument("--name", required=True, metavar="LABEL")
    _add(tokens, "list", "people.list_tokens", "lists the tokens, never their secrets")
    _add(tokens, "revoke", "people.revoke_token", "ends a token").add_argument("id")
    policy = _group(commands, "policy", "the workspace's consent policy")
    choose = _add(policy, "set", "people.set_policy", "chooses the policy")
    choose.add_argument("policy", choices=[p.value for p in Pack])
    choose.add_argument("--reason", default="", help="why; needed for “notice”")
    consents = _group(commands, "consent", "what recipients agreed to")
    take = _add(consents, "import", "consents.import_file", "records the consents of a CSV file, row by row")
    take.add_argument("file", help="the file; - for standard input")
    retire = _add(
        consents, "retire", "consents.retire_notice", "lapses the consents given to other versions of a notice"
    )
    retire.add_argument("notice")
    retire.add_argument("--keep", required=True, metavar="VERSION", help="the version that goes on to count")
    accounts = _group(commands, "account", "sending addresses")
    _add(accounts, "confirm", "people.confirm_account", "vouches for a sending address").add_argument("address")


def _add_rights(commands: "Commands") -> None:
    people = _group(commands, "recipient", "the rights of those you write to")
    export = _add(people, "export", "rights.export_recipient", "everything held about somebody, as a ZIP file")
    export.add_argument("email")
    export.add_argument("--language", choices=("en", "ru"), default="en", help="of the page in it")
    _add(people, "erase", "rights.erase_recipient", "erases somebody and prints the receipt").add_argument("email")
    replay = _add(people, "replay", "rights.replay_erasures", "erases again whom a restored backup brought back")
    replay.add_argument("file", nargs="?", help="a list of erasures; else the one in the data folder")


def _add_mail(commands: "Commands") -> None:
    parser = _add(
        commands, "rewrite", "mail.rewrite_message", "shows what sending would do to a message on standard input"
    )
    parser.add_argument("--html", action="store_true", help="standard input is one HTML document, not a message")
    parser.add_argument("--opens", action="store_true", help="put the pixel in")
    parser.add_argument("--links", action="store_true", help="put redirects in")
    _add(commands, "inspect", "mail.inspect_url", "says what one of our URLs says (JSON)").add_argument("url")
    read = _add(commands, "read", "reading.read", "says what incoming messages are, without storing them (JSON Lines)")
    read.add_argument("file", nargs="*", help="messages; - or nothing for one on standard input")
    read.add_argument("--own", action="append", default=[], metavar="ADDRESS", help="an address of ours")
    read.add_argument(
        "--form-robot", action="append", default=[], metavar="ADDRESS", help="an address that writes for a web form"
    )
    judge = _add(commands, "judge", "judging.judge", "judges hits given as JSON Lines, as the product would")
    judge.add_argument("file", nargs="?", default="-")
    again = _add(
        commands, "rejudge", "rejudge.rejudge", "judges hits again whose evidence is held, by the rules of today"
    )
    again.add_argument("--since", type=days, metavar="DAYS", help="only copies with hits of the last so many days")


def _add_checks(commands: "Commands") -> None:
    backup = _add(
        commands, "backup", "backups.backup", "copies database, spool and keys into one archive, while running"
    )
    backup.add_argument("file")
    restore = _add(commands, "restore", "backups.restore", "lays such an archive into an empty data folder")
    restore.add_argument("file")
    restore.add_argument(
        "--erasures", metavar="FILE", help="the list of erasures (erasures.jsonl) of the installation that was lost"
    )
    keys = _group(commands, "key", "the secret keys, which sign links and seal stored passwords")
    _add(keys, "list", "keys.list_keys", "lists the keys by their digests")
    _add(keys, "add", "keys.add_key", "makes a new key, which signs and seals from now on")
    _add(keys, "retire", "keys.retire_key", "gives an old or lost key up for good").add_argument("digest")
    _add(commands, "check", "checks.check", "looks at settings, keys, database, spool and tracking host")


if __name__ == "__main__":
    sys.exit(main())
