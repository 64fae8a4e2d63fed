"""The folders of a mailbox: their names, raw and for people, their roles, and which are never read as incoming mail."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from imapclient import IMAPClient, imap_utf7

from tracker.mail.imap_commands import list_folders
from tracker.mail.mime.text import readable

_ROLES = {b"\\sent": "sent", b"\\drafts": "drafts", b"\\junk": "junk", b"\\trash": "trash", b"\\all": "all"}
_NAMES = {
    "sent": (
        *("sent", "sent items", "sent mail", "sent messages", "отправленные", "отправленное", "исходящие", "надіслані"),
        *("gesendet", "gesendete elemente", "gesendete objekte", "envoyés", "messages envoyés", "éléments envoyés"),
        *(
            "enviados",
            "elementos enviados",
            "itens enviados",
            "inviati",
            "posta inviata",
            "wysłane",
            "elementy wysłane",
        ),
        *(
            "verzonden",
            "verzonden items",
            "odeslané",
            "odoslané",
            "skickat",
            "sendt",
            "lähetetyt",
            "gönderilmiş öğeler",
        ),
    ),
    "drafts": ("drafts", "draft", "черновики", "outbox", "шаблоны", "drafts|template"),
    "junk": ("junk", "spam", "junk e-mail", "junk email", "bulk mail", "спам", "нежелательная почта"),
    "trash": ("trash", "deleted", "deleted items", "deleted messages", "bin", "корзина", "удаленные", "удалённые"),
}


_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Folder:
    """``raw`` is what the server is told; ``name`` is for people; ``role`` is empty for an ordinary folder."""

    raw: bytes
    name: str
    delimiter: str | None
    role: str
    selectable: bool = True
    is_marked: bool = False
    """The server itself says which role it has (RFC 6154)."""

    @property
    def raw_name(self) -> str:
        return self.raw.decode("latin-1")

    def is_named(self, name: str) -> bool:
        """INBOX is the one name that is the same in any case (RFC 9051 section 5.1)."""
        return self.name == name or (self.name.upper() == "INBOX" and name.upper() == "INBOX")


def folders_of(client: IMAPClient) -> list[Folder]:
    """All folders, in the order of the server. A name that cannot be decoded is shown raw."""
    return [_folder(*entry) for entry in list_folders(client)]


def folder_for(client: IMAPClient, role: str) -> str | None:
    """The name of the folder with this role, as IMAPClient takes names: the one that the server marks (SPECIAL-USE), else the
    one nearest the top that is called so in a language we know."""
    folders = [f for f in folders_of(client) if f.selectable and f.role == role]
    best = min(folders, key=lambda f: (not f.is_marked, f.name.count(f.delimiter or "/")), default=None)
    return best.name if best else None


def watched(folders: Iterable[Folder], names: list[str], *, everything: bool) -> list[Folder]:
    """The folders to read: those named, or all; never spam, sent, drafts and trash, even when they are named."""
    readable = [f for f in folders if f.selectable and f.role in ("", "all")]
    if everything:
        return [f for f in readable if f.role != "all"]
    return [f for f in readable if any(f.is_named(name) for name in names)]


def _folder(flags: Iterable[bytes], delimiter: bytes | None, raw: bytes) -> Folder:
    lower = {flag.lower() for flag in flags}
    name = decoded(raw)
    sign = delimiter.decode("latin-1") if delimiter else None
    marked = next((role for flag, role in _ROLES.items() if flag in lower), None)
    role = marked or _role_of(name, sign)
    selectable = not lower & {b"\\noselect", b"\\nonexistent"} and not _CONTROL.search(raw)
    return Folder(raw, name, sign, role, selectable, marked is not None)


def decoded(raw: bytes) -> str:
    """A name in modified UTF-7 (RFC 9051 appendix A) for people, or in UTF-8 (RFC 6855); as it came when it is neither."""
    try:
        if not raw.isascii():
            return _CONTROL_CHARACTER.sub(" ", readable(raw, "utf-8"))
        return str(imap_utf7.decode(raw))
    except (UnicodeError, ValueError):
        return raw.decode("utf-8", "replace")


def _role_of(name: str, delimiter: str | None) -> str:
    last = name.rpartition(delimiter)[2] if delimiter else name
    return next((role for role, names in _NAMES.items() if last.strip().lower() in names), "")
