"""How mail from an account arrives: a test sent to oneself, and read again over IMAP.

It tells what DNS cannot: whether the service rewrites links or adds a pixel, and what a receiver makes of SPF, DKIM and
DMARC (RFC 8601). Nothing is stored; the test's Message-ID is all that must be remembered.
"""

import imaplib
import re
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import SMTP
from email.utils import formatdate
from secrets import token_hex
from urllib.parse import urlsplit

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from tracker.mail.account_servers import PAGE_SECONDS, imap_server, submit_at_once
from tracker.mail.addresses import domain_of
from tracker.mail.connections import ConnectError
from tracker.mail.folders import folder_for
from tracker.mail.imap_commands import body_of, fetch
from tracker.mail.imap_session import imap
from tracker.models import Account
from tracker.outbound.sending_domain.advice import Advice
from tracker.runtime.context import AppContext
from tracker.runtime.deadline import Deadline
from tracker.runtime.localized_text import ActionError, LocalizedText

TEST_ID = re.compile(r"[0-9a-f]{24}")
_HREF = re.compile(r"<a\b[^>]*\bhref\s*=\s*[\"']?([^\"'\s>]+)", re.IGNORECASE)
_IMAGE = re.compile(r"<img\b", re.IGNORECASE)
_RESULT = re.compile(r"\b(spf|dkim|dmarc)\s*=\s*([a-z]+)", re.IGNORECASE)
LONGEST = 200_000
ARRIVAL, LINKS = LocalizedText("Arrival"), LocalizedText("Links")


def send_test(context: AppContext, account: Account) -> str:
    """Sends the test through the account to its own address; gives its id. Raises :class:`ActionError` when that cannot be."""
    if not account.imap_host:
        raise ActionError(
            "conflict", LocalizedText("The test is read over IMAP, which is not set up for this address.")
        )
    test_id = token_hex(12)
    mail = EmailMessage()
    mail["From"] = mail["To"] = account.address
    mail["Subject"] = "Inkling: how does my mail arrive?"
    mail["Date"] = formatdate()
    mail["Message-ID"] = _message_id(account, test_id)
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(f"A test. You can delete it.\n{_link(context, test_id)}\n")
    html = f'<html><body>\n<p>A test. You can delete it.</p>\n<p><a href="{_link(context, test_id)}">A link</a></p>\n</body></html>'
    mail.add_alternative(html, subtype="html")
    outcome = submit_at_once(context, account, account.address, mail.as_bytes(policy=SMTP))
    if not outcome.is_accepted:
        raise ActionError("conflict", LocalizedText("The test could not be sent: %(reason)s", reason=outcome.reply))
    return test_id


def read_test(context: AppContext, account: Account, test_id: str) -> list[Advice]:
    """What became of the test, as far as it has arrived. Never raises."""
    try:
        with Deadline(PAGE_SECONDS) as deadline, imap(context, imap_server(context, account), deadline) as client:
            letter = _find(client, _message_id(account, test_id))
    except ConnectError as error:
        return [Advice("IMAP", "bad", error.sentence)]
    except (OSError, IMAPClientError, imaplib.IMAP4.error) as error:
        text = LocalizedText("The mailbox could not be read: %(problem)s", problem=" ".join(str(error).split())[:200])
        return [Advice("IMAP", "bad", text)]
    if letter is None:
        return [Advice(ARRIVAL, "unknown", LocalizedText("The test has not arrived yet."))]
    folder, is_junk, raw = letter
    mail = message_from_bytes(raw[:LONGEST])
    return [_arrival(folder, is_junk=is_junk), *_links(mail, _link(context, test_id)), *_authentication(mail)]


def has_arrived(advices: list[Advice]) -> bool:
    """Whether asking again is useless."""
    return not any(advice.topic == ARRIVAL and advice.grade == "unknown" for advice in advices)


def _message_id(account: Account, test_id: str) -> str:
    return f"<inkling-test.{test_id}@{domain_of(account.address)}>"


def _link(context: AppContext, test_id: str) -> str:
    return f"{context.settings.base_url}/?test={test_id}&from=mail"


def _find(client: IMAPClient, message_id: str) -> tuple[str, bool, bytes] | None:
    """Where it lies: in the inbox, else among the junk."""
    junk = folder_for(client, "junk")
    for folder in filter(None, ("INBOX", junk)):
        client.select_folder(folder, readonly=True)
        uids = client.search(["HEADER", "Message-ID", message_id])
        if uids:
            letter = fetch(client, [uids[-1]], [f"BODY.PEEK[]<0.{LONGEST}>"]).get(uids[-1], {})
            return folder, folder == junk, body_of(letter) or b""
    return None


def _arrival(folder: str, *, is_junk: bool) -> Advice:
    if is_junk:
        return Advice(ARRIVAL, "bad", LocalizedText("The test landed in “%(folder)s”, where spam goes.", folder=folder))
    return Advice(ARRIVAL, "good", LocalizedText("The test arrived in “%(folder)s”.", folder=folder))


def _links(mail: Message, link: str) -> list[Advice]:
    html = _html_of(mail)
    hrefs = [href.replace("&amp;", "&") for href in _HREF.findall(html)]
    links = []
    if link in hrefs:
        links.append(Advice(LINKS, "good", LocalizedText("The link arrived as it was written.")))
    else:
        host = next((urlsplit(href).hostname or "" for href in hrefs if "://" in href), "?")
        text = LocalizedText(
            "Your service put its own link (%(host)s) in the place of yours. Switch its click tracking off: every link "
            "takes two detours, and its checks are counted as clicks.",
            host=host,
        )
        links.append(Advice(LINKS, "bad", text))
    if _IMAGE.search(html):
        text = LocalizedText(
            "Your service put a picture of its own into the mail, most likely a pixel. Switch its open tracking off."
        )
        links.append(Advice(LINKS, "bad", text))
    return links


def _html_of(mail: Message) -> str:
    for part in mail.walk():
        if part.get_content_type() == "text/html":
            content = part.get_payload(decode=True)
            return content.decode("utf-8", "replace") if isinstance(content, bytes) else ""
    return ""


def _authentication(mail: Message) -> list[Advice]:
    """The topmost field is the receiving server's; whatever stands below may be anybody's (RFC 8601 section 5)."""
    said = " ".join(str(mail.get("Authentication-Results", "")).split())
    results: dict[str, str] = {}
    for method, result in _RESULT.findall(said):
        if results.get(method.upper()) != "pass":  # of several signatures one that passes is enough
            results[method.upper()] = result.lower()
    if not results:
        text = LocalizedText(
            "Your own mail server does not say what it makes of SPF, DKIM and DMARC, as is usual within one service."
        )
        return [Advice("SPF, DKIM, DMARC", "unknown", text)]
    return [_judged(method, results[method]) for method in ("SPF", "DKIM", "DMARC") if method in results]


def _judged(method: str, result: str) -> Advice:
    if result == "pass":
        return Advice(method, "good", LocalizedText("The receiving server says: %(method)s passed.", method=method))
    grade = "warn" if result in ("none", "neutral", "softfail", "temperror", "policy") else "bad"
    text = LocalizedText("The receiving server says: %(method)s is “%(result)s”.", method=method, result=result)
    return Advice(method, grade, text)
