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
    (Exception, "line", N_("The line to %(where)s failed: %(problem)s.")),
)


def explain(server: Server, error: Exception, seconds: float = ANSWER_SECONDS) -> ConnectError:
    """Never holds the secret. ``seconds`` is how long was waited."""
    match error:
        case ConnectError():
            return error
        case smtplib.SMTPAuthenticationError():
            return _login_refused(server, error.smtp_error, permanent=error.smtp_code // 100 == 5)
        case LoginError():
            return _login_refused(server, str(error), permanent=True)
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


def _login_refused(server: Server, words: bytes | str, *, permanent: bool) -> ConnectError:
    where, said = f"{server.host}:{server.port}", server_reply_text(words)
    if server.grant is not None:
        text = LocalizedText(
            "%(where)s does not take the sign-in. Is this protocol switched on for the mailbox? The server said: “%(said)s”",
            where=where,
            said=said,
        )
        return ConnectError("login_refused", text, permanent=permanent)
    if _wants_oauth(server.host, said):
        text = LocalizedText(
            "%(where)s takes no passwords (any more). Sign in with Microsoft instead. The server said: “%(said)s”",
            where=where,
            said=said,
        )
        return ConnectError("needs_oauth", text, permanent=True)
    text = LocalizedText(
        "%(where)s refused the login or password. Many services want an app password here. The server said: “%(said)s”",
        where=where,
        said=said,
    )
    return ConnectError("login_refused", text, permanent=permanent)


def _wants_oauth(host: str, said: str) -> bool:
    """Microsoft 365 refuses every password on IMAP and POP, in words that sound like a wrong one."""
    if re.search(r"basic authentication is disabled|5\.7\.139|5\.7\.30\b", said, re.IGNORECASE):
        return True
    return host.lower() == "outlook.office365.com"
