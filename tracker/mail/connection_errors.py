"""Any failure of a connection to a mail server as a sentence that says what to do."""

import re
import smtplib
import ssl

from imapclient.exceptions import LoginError

from tracker.locale import N_
from tracker.mail.connections import ANSWER_SECONDS, ConnectError, Server
from tracker.runtime.localized_text import LocalizedText, server_reply_text

# The first that fits counts.
_KINDS: tuple[tuple[type[Exception], str, str], ...] = (
    (
        ssl.SSLCertVerificationError,
        "certificate",
        N_("The certificate of %(where)s is not valid: %(problem)s. Nothing was sent."),
    ),
    (
        ssl.SSLError,
        "tls",
        N_(
            "%(where)s does not speak TLS in this way. Check port and security: 465 and 993 are TLS, 587 and 143 STARTTLS."
        ),
    ),
    (TimeoutError, "timeout", N_("%(where)s did not answer within %(seconds)s seconds. Check host and port.")),
    (ConnectionRefusedError, "refused", N_("Nothing listens on %(where)s. Check the port.")),
    (
        smtplib.SMTPNotSupportedError,
        "not_supported",
        N_("%(where)s does not offer what was asked for: %(problem)s. Check the security setting."),
    ),
    (
        smtplib.SMTPServerDisconnected,
        "disconnected",
        N_("%(where)s ended the connection. Check port and security: 465 is TLS, 587 is STARTTLS."),
    ),
    (smtplib.SMTPResponseException, "smtp", N_("%(where)s answered: %(said)s")),
    (Exception, "line", N_("The connection to %(where)s failed: %(problem)s.")),
)
_WRONG_LOGIN = N_(
    "%(where)s refused the login or password. Many services want an app password here. The server said: “%(said)s”"
)
_LOGIN_OVER_TLS = N_("%(where)s takes logins only over TLS. Choose TLS or STARTTLS. The server said: “%(said)s”")
_TRY_LATER = N_(
    "%(where)s cannot look at logins at the moment; it says nothing about this one. The server said: “%(said)s”"
)
_NO_SIGN_IN = N_(
    "%(where)s does not take the sign-in. Is this protocol switched on for the mailbox? The server said: “%(said)s”"
)
_NO_PASSWORDS = N_(
    "%(where)s takes no passwords (any more). Sign in with Microsoft instead. The server said: “%(said)s”"
)
_WANTS_TLS = re.compile(
    r"PRIVACYREQUIRED|LOGINDISABLED|\b5\.7\.11\b|(issue|use|send)( an?| the)? (STARTTLS|STLS)|(STARTTLS|STLS) (command )?(is )?"
    r"(required|needed|first)|plain-?text (authentication|login|password)s? (is |are )?(not |dis)"
    r"|encryption (is )?(required|needed)"
    r"|(only|require[sd]?|must use|need|want)s? (over |a |an )?(SSL|TLS|encrypt|secure connection)",
    re.IGNORECASE,
)
_OWN_TROUBLE = re.compile(
    r"\[(SYS/|UNAVAILABLE|SERVERBUG|CONTACTADMIN|IN-?USE|LOGIN-DELAY|LIMIT)|temporar(y|ily)|try again later"
    r"|internal (server )?error|too many (simultaneous )?(connections|sessions)"
    r"|(unable to|cannot|can't|could not) (lock|open)|maildrop (is )?locked",
    re.IGNORECASE,
)


def explain(server: Server, error: Exception, seconds: float = ANSWER_SECONDS) -> ConnectError:
    """Never holds the secret. ``seconds`` is how long was waited."""
    match error:
        case ConnectError():
            return error
        case smtplib.SMTPAuthenticationError() if error.smtp_code // 100 == 5:
            return explain_refused_login(server, error.smtp_error)
        case LoginError():
            return explain_refused_login(server, str(error))
    code, msgid = next((code, msgid) for kind, code, msgid in _KINDS if isinstance(error, kind))
    values: dict[str, str | int] = {
        "where": f"{server.host}:{server.port}",
        "seconds": int(seconds),
        "problem": _problem(error),
        "said": _said(error),
    }
    used = {name: value for name, value in values.items() if f"%({name})s" in msgid}
    return ConnectError(code, LocalizedText(msgid, **used), permanent=code == "certificate")


def _problem(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return server_reply_text(str(error) or type(error).__name__)


def _said(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {server_reply_text(error.smtp_error)}".strip()
    return ""


def explain_refused_login(server: Server, words: bytes | str) -> ConnectError:
    """What it means that a server did not take a login: not always that login or password are wrong."""
    where, said = f"{server.host}:{server.port}", server_reply_text(words)
    code, msgid, permanent = "login_refused", _WRONG_LOGIN, True
    if _WANTS_TLS.search(said):
        code, msgid = "tls", _LOGIN_OVER_TLS
    elif _OWN_TROUBLE.search(said):
        code, msgid, permanent = "server_trouble", _TRY_LATER, False
    elif server.grant is not None:
        msgid = _NO_SIGN_IN
    elif _wants_oauth(server.host, said):
        code, msgid = "needs_oauth", _NO_PASSWORDS
    return ConnectError(code, LocalizedText(msgid, where=where, said=said), permanent=permanent)


def _wants_oauth(host: str, said: str) -> bool:
    """Microsoft 365 refuses every password on IMAP and POP, in words that sound like a wrong one."""
    if re.search(r"basic authentication is disabled|5\.7\.139|5\.7\.30\b", said, re.IGNORECASE):
        return True
    return host.lower() == "outlook.office365.com"
