"""What a mail server's refusal means for a mailbox, and what its person can do. Pure."""

import re
from dataclasses import dataclass

from tracker.runtime.localized_text import N_, LocalizedText, server_reply_text


@dataclass(frozen=True)
class ServerRefusal:
    """``state`` is one of a mailbox; ``wait`` is how many seconds the server asks for, at most a day."""

    state: str
    hint: LocalizedText
    wait: float = 0.0


DAY = 86_400.0
_THROTTLED = re.compile(
    r"too many simultaneous|too many connections|\[LIMIT\]|\[INUSE\]|\[OVERQUOTA\]|throttled|\[IN-USE\]|maildrop locked"
    r"|\[SYS/TEMP\]|\[LOGIN-DELAY\]|rate limit|bandwidth limit|temporarily blocked|try again later",
    re.IGNORECASE,
)
_OVER_QUOTA = re.compile(r"\[OVERQUOTA\]|bandwidth limit", re.IGNORECASE)
_BACK_OFF = re.compile(r"back-?off time:? *(\d{1,12}) *(milliseconds|ms|seconds|s)?\b", re.IGNORECASE)
_WAIT_SECONDS = re.compile(r"(?:wait|retry (?:in|after)|again in) (\d{1,9}) ?s", re.IGNORECASE)
_NO_PASSWORDS = re.compile(r"basic authentication is (disabled|blocked)|5\.7\.139|5\.7\.30\b", re.IGNORECASE)
_EXTERNAL = re.compile(r"parol prilozheniya|ap+lication password is required", re.IGNORECASE)
_IMAP_OFF = re.compile(r"(imap|pop3?) is disabled|not enabled for (imap|pop)", re.IGNORECASE)
_APP_PASSWORD = re.compile(r"application-specific password|web login required|app password", re.IGNORECASE)
_MICROSOFT = ("outlook.office365.com", "outlook.office.com", "imap-mail.outlook.com", "pop-mail.outlook.com")

PAUSE_WANTED = N_("%(host)s asks for a pause; Inkling tries again by itself. The server said: “%(said)s”")
MICROSOFT_SIGN_IN = N_(
    "%(host)s takes no passwords. Connect through the sign-in with Microsoft. The server said: “%(said)s”"
)
EXTERNAL_PASSWORD = N_(
    "%(host)s wants a password for external applications: make one in the security settings of your account and enter it "
    "here. The server said: “%(said)s”"
)
SWITCH_IMAP_ON = N_(
    "%(host)s refused the login or password. Switch on access by IMAP in the settings of your mail, and use an app password. "
    "The server said: “%(said)s”"
)
TWO_STEPS = N_(
    "%(host)s wants an app password: switch on two-step verification in your account, make an app password and enter it here. "
    "The server said: “%(said)s”"
)
WRONG_PASSWORD = N_(
    "%(host)s refused the login or password. Many services want an app password here. The server said: “%(said)s”"
)


def read_refusal(host: str, words: str, *, login: bool) -> ServerRefusal | None:
    """The meaning of what a server said; ``login`` when it said so to a login. None when it tells nothing we know."""
    if _THROTTLED.search(words):
        return ServerRefusal("throttled", _said(PAUSE_WANTED, host, words), asked_wait(words))
    if not login:
        return None
    if _NO_PASSWORDS.search(words) or host.lower() in _MICROSOFT:
        return ServerRefusal("needs_oauth", _said(MICROSOFT_SIGN_IN, host, words))
    return ServerRefusal("auth_error", _said(_hint(host.lower(), words), host, words))


def asked_wait(words: str) -> float:
    """Seconds that a server's words ask to wait: its own figure, a day for a spent quota, else nought."""
    if match := _BACK_OFF.search(words):
        seconds = (match[2] or "ms").lower().startswith("s")
        return min(float(match[1]) / (1.0 if seconds else 1000.0), DAY)
    if match := _WAIT_SECONDS.search(words):
        return min(float(match[1]), DAY)
    return DAY if _OVER_QUOTA.search(words) else 0.0


def _hint(host: str, words: str) -> str:
    if _EXTERNAL.search(words):
        return EXTERNAL_PASSWORD
    if _IMAP_OFF.search(words) or "yandex" in host:
        return SWITCH_IMAP_ON
    if _APP_PASSWORD.search(words) or host.endswith((".gmail.com", ".googlemail.com")):
        return TWO_STEPS
    return WRONG_PASSWORD


def _said(msgid: str, host: str, words: str) -> LocalizedText:
    return LocalizedText(msgid, host=host, said=server_reply_text(words))
