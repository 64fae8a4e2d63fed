"""The probe of a dynamic rule: a letter to an address such as its visitors would be shown, and where that letter lands.

It is sent through the person's own account; who has none writes it in any mail program. Only in a folder that is read has it
arrived. Nothing is stored of it but how it went.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from itertools import chain

from imapclient import IMAPClient
from sqlmodel import Session, col, select, update

from pixel.site_codes import ALPHABET, long_codes, tagged
from tracker.inbound.credentials import credential_of, server_of
from tracker.inbound.fetch.check import TROUBLE, meaning
from tracker.inbound.fetch.pop3 import pop3
from tracker.mail.account_servers import submit_at_once, working_account
from tracker.mail.addresses import domain_of
from tracker.mail.connections import ConnectError
from tracker.mail.folders import Folder, folders_of, watched
from tracker.mail.imap_commands import fetch, open_folder
from tracker.mail.imap_session import imap
from tracker.mail.message_ids import NOTICE_HEADER, new_id, notice_mark
from tracker.models import Account, Credential, Mailbox, SiteRule, User
from tracker.models.ownership import owned
from tracker.notifications.notify import announce
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Deadline
from tracker.runtime.localized_text import N_, ActionError, LocalizedText
from tracker.sites.rules import is_working

LONGEST_WAIT = timedelta(minutes=15)
"""What has not arrived by then is taken for lost; a grey-listing server lets it in within ten minutes."""
FIRST_LOOK, LONGEST_PAUSE = timedelta(seconds=2), timedelta(seconds=60)
ELSEWHERE_AFTER = timedelta(seconds=20)
"""Then the person's other mailboxes are looked into as well: a catch-all may have got it."""
LOOK_SECONDS = 60.0
STEP_SECONDS = 15.0
NEWEST = 30
"""Letters of each folder that are looked at."""
MOST_FOLDERS = 200
_FIELDS = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID TO CC DELIVERED-TO X-ORIGINAL-TO)]<0.8192>"


@dataclass(frozen=True)
class Probe:
    """One letter of a rule's probe: to which address, under which Message-ID, and the mailbox in which it should arrive."""

    address: str
    message_id: str
    mailbox: Mailbox
    credential: Credential | None

    def is_in(self, header: bytes) -> bool:
        """Whether a header section is the probe's, or that of a letter which a person wrote to the same address."""
        text = header.lower()
        return any(needle.lower().encode() in text for needle in (self.message_id, self.address))


@dataclass(frozen=True)
class ProbeLocation:
    """Where a probe lies."""

    mailbox: Mailbox
    folder: str
    role: str
    is_read: bool


def send_probe(context: AppContext, user: User, public_id: str) -> None:
    """Sends the rule's probe; from then on it is looked for. Without an account to send from the person writes to the address.

    Holds no transaction while it talks. Raises :class:`ActionError` when the rule is not the person's, has nothing to probe, or the
    letter cannot be handed over now.
    """
    with context.database.reading() as session:
        rule = owned(session, SiteRule, user, public_id)
        code = long_codes(ALPHABET[0], secrets.token_bytes(64))[0]
        probes = list(_probes(session, context, rule, code))
        account = working_account(session, user)
    _check(rule, probes)
    state, detail = "sent", str(_written_by_hand(probes) if account is None else _sent_from(account, probes))
    refusals = (_hand_over(context, account, probe) for probe in probes) if account is not None else iter(())
    if refusal := next(filter(None, refusals), ""):
        state, detail = "failed", refusal
    with context.database.session_scope() as session:
        rule = owned(session, SiteRule, user, public_id)
        rule.probe_code, rule.probe_at, rule.probe_due_at = code, now(), now() + FIRST_LOOK
        _note(session, rule, state, detail)


def _check(rule: SiteRule, probes: list[Probe]) -> None:
    if rule.tracking_type != "dynamic":
        raise ActionError("conflict", LocalizedText("A static rule needs no test letter."))
    if not probes or not all(is_working(probe.mailbox) for probe in probes):
        text = LocalizedText("Choose a mailbox that is read, and save the rule; then a test letter can be sent.")
        raise ActionError("conflict", text)


def _probes(session: Session, context: AppContext, rule: SiteRule, code: str) -> Iterator[Probe]:
    boxes = select(Mailbox).where(Mailbox.user_id == rule.user_id, col(Mailbox.removed_at).is_(None))
    mailboxes = {box.public_id: box for box in session.exec(boxes)}
    for number, pool in enumerate(rule.dynamic_settings):
        mailbox = mailboxes.get(pool["email_account"] or "")
        if mailbox is None:
            continue
        for address in _addresses_of(rule, pool["addresses"], mailbox.address.lower(), code):
            unique = context.keyring.digest(f"probe:{rule.public_id}:{code}:{number}:{address}")[:16]
            message_id = new_id(context.keyring, "n", unique, domain_of(address))
            yield Probe(address, message_id, mailbox, credential_of(session, mailbox))


def _addresses_of(rule: SiteRule, listed: list[str], base: str, code: str) -> list[str]:
    """One with a code; of a list the first, the middle and the last."""
    if rule.substitution_type != "manual_pool":
        return [tagged(base, code)]
    return list(dict.fromkeys(listed[place] for place in (0, len(listed) // 2, -1))) if listed else []


def _written_by_hand(probes: list[Probe]) -> LocalizedText:
    text = N_(
        "Write a letter to %(address)s from any mail program; we are waiting for it. (There is no address to send from yet.)"
    )
    return LocalizedText(text, address=", ".join(probe.address for probe in probes))


def _sent_from(account: Account, probes: list[Probe]) -> LocalizedText:
    text = N_("A test letter to %(address)s was sent from %(account)s; it is waited for.")
    return LocalizedText(text, address=", ".join(probe.address for probe in probes), account=account.address)


def _hand_over(context: AppContext, account: Account, probe: Probe) -> str:
    """Why the letter was refused; empty when it is on its way. Raises :class:`ActionError` when it is worth trying again."""
    mail = EmailMessage()
    mail["From"], mail["To"] = account.address, probe.address
    mail["Subject"] = "Inkling: do letters to this address arrive?"
    mail["Date"], mail["Message-ID"] = format_datetime(now()), probe.message_id
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no machine answers it
    mail[NOTICE_HEADER] = notice_mark(context.keyring, probe.message_id)
    mail.set_content("A test. You can delete it.\n")
    outcome = submit_at_once(context, account, probe.address, mail.as_bytes(policy=SMTP))
    if outcome.is_deferred:
        raise ActionError("conflict", LocalizedText("The test could not be sent: %(reason)s", reason=outcome.reply))
    if outcome.is_accepted:
        return ""
    text = N_(
        "The server refused the test letter to %(address)s: “%(reason)s”. Many services take such addresses only when that is "
        "switched on; at Microsoft 365 it is a setting of the organisation. Or use a list of addresses of your own."
    )
    return LocalizedText(text, address=probe.address, reason=outcome.reply)


# --- where is it?


def look_due(context: AppContext) -> int:
    """Looks for every probe whose time has come. Returns how many those were."""
    with context.database.reading() as session:
        due = select(SiteRule.id, SiteRule.probe_due_at).where(
            SiteRule.probe == "sent", col(SiteRule.probe_due_at) <= now()
        )
        rows = list(session.exec(due.order_by(col(SiteRule.probe_due_at)).limit(20)))
    mine = [rule_id for rule_id, due_at in rows if _claim(context, rule_id, due_at)]
    for rule_id in mine:
        look_for(context, rule_id)
    return len(mine)


def next_look(session: Session) -> datetime | None:
    """When the next probe is to be looked for."""
    due = select(SiteRule.probe_due_at).where(SiteRule.probe == "sent", col(SiteRule.probe_due_at).is_not(None))
    return session.exec(due.order_by(col(SiteRule.probe_due_at)).limit(1)).first()


def _claim(context: AppContext, rule_id: int, due_at: datetime | None) -> bool:
    """One worker looks, and the next look is later the longer it has taken."""
    with context.database.session_scope() as session:
        rule = session.get_one(SiteRule, rule_id)
        age = now() - (rule.probe_at or now())
        later = now() + min(max(FIRST_LOOK, age / 2), LONGEST_PAUSE)
        mine = (col(SiteRule.id) == rule_id) & (col(SiteRule.probe_due_at) == due_at) & (SiteRule.probe == "sent")
        return session.exec(update(SiteRule).where(mine).values(probe_due_at=later)).rowcount == 1


def look_for(context: AppContext, rule_id: int) -> None:
    """Looks where the rule's probe has landed and notes what that means. Holds no transaction while it waits."""
    with context.database.reading() as session:
        rule = session.get_one(SiteRule, rule_id)
        probes, others = list(_probes(session, context, rule, rule.probe_code)), _other_mailboxes(session, rule)
    code, age = rule.probe_code, now() - (rule.probe_at or now())
    state, detail = _verdict(context, probes, others if age > ELSEWHERE_AFTER else [], is_over=age > LONGEST_WAIT)
    with context.database.session_scope() as session:
        rule = session.get_one(SiteRule, rule_id)
        if rule.probe != "sent" or rule.probe_code != code:
            return  # it was sent anew meanwhile, or vouched for
        if state or detail:
            _note(session, rule, state or "sent", detail)


def _note(session: Session, rule: SiteRule, state: str, detail: str) -> None:
    rule.probe, rule.probe_detail = state, detail
    if state != "sent":
        rule.probe_due_at = None
    session.add(rule)
    announce(session, rule.user_id, "site_rule", rule.public_id)


def _other_mailboxes(session: Session, rule: SiteRule) -> list[tuple[Mailbox, Credential | None]]:
    ids = {pool["email_account"] for pool in rule.dynamic_settings}
    rows = session.exec(
        select(Mailbox).where(Mailbox.user_id == rule.user_id, col(Mailbox.removed_at).is_(None)).limit(20)
    ).all()
    return [(box, credential_of(session, box)) for box in rows if box.public_id not in ids and is_working(box)]


def _verdict(
    context: AppContext, probes: list[Probe], others: list[tuple[Mailbox, Credential | None]], *, is_over: bool
) -> tuple[str, str]:
    """The new state and its sentence; empty while there is nothing new."""
    arrived = 0
    try:
        for probe in probes:
            place = _find(context, probe, probe.mailbox, probe.credential)
            elsewhere = (_find(context, probe, box, credential) for box, credential in others)
            place = place or next((verdict for verdict in elsewhere if verdict is not None), None)
            if place is not None and not (place.is_read and place.mailbox.id == probe.mailbox.id):
                return "failed", _misplaced(place, probe)
            arrived += place is not None
    except (ConnectError, *TROUBLE) as error:
        return ("failed" if is_over else ""), meaning(None, error).hint
    if arrived == len(probes) and probes:
        return "passed", LocalizedText("A test letter to %(address)s arrived.", address=probes[0].address)
    if not is_over:
        return "", ""
    text = N_(
        "A test letter to %(address)s has not arrived within %(minutes)s minutes. See whether the service takes addresses with a "
        "plus, and whether the letter came back to its sender."
    )
    return "failed", LocalizedText(
        text, address=probes[0].address if probes else "", minutes=LONGEST_WAIT.seconds // 60
    )


def _misplaced(place: ProbeLocation, probe: Probe) -> LocalizedText:
    if place.mailbox.id != probe.mailbox.id:
        text = N_(
            "The test letter to %(address)s landed in the mailbox %(mailbox)s, which takes what the server does not know. Choose "
            "that mailbox for the rule, or let the server bring such letters to %(wanted)s."
        )
        values = {"address": probe.address, "mailbox": place.mailbox.address, "wanted": probe.mailbox.address}
        return LocalizedText(text, **values)
    if place.role == "junk":
        text = N_("The test letter to %(address)s landed in “%(folder)s”, where spam goes and nothing is read.")
    else:
        text = N_(
            "The test letter to %(address)s landed in the folder “%(folder)s”, which is not read. Read that folder as well, or "
            "switch off that the server files such letters there."
        )
    return LocalizedText(text, address=probe.address, folder=place.folder)


def _find(context: AppContext, probe: Probe, mailbox: Mailbox, credential: Credential | None) -> ProbeLocation | None:
    """Where the probe lies in a mailbox; None while it does not. Raises :class:`ConnectError` and what a talk may end in."""
    if credential is None:
        return None
    server = server_of(context, credential)
    with Deadline(LOOK_SECONDS) as deadline:
        if credential.protocol == "pop3":
            with pop3(context, server, deadline, STEP_SECONDS) as line:
                numbers = [number for number, _ in line.uidls()][-NEWEST:]
                lies = any(probe.is_in(line.beginning(number)) for number in reversed(numbers))
                line.quit()
            return ProbeLocation(mailbox, "INBOX", "", is_read=True) if lies else None
        with imap(context, server, deadline, STEP_SECONDS) as client:
            return _find_in_folders(client, probe, mailbox)


def _find_in_folders(client: IMAPClient, probe: Probe, mailbox: Mailbox) -> ProbeLocation | None:
    """The folders that are read first. Sent mail holds the sender's own copy, and “all mail” holds that as well."""
    every = folders_of(client)
    read = watched(every, mailbox.folders, everything=mailbox.all_folders)
    rest = [f for f in every if f.selectable and f not in read and f.role not in ("sent", "drafts", "all")]
    for folder in chain(read, rest[:MOST_FOLDERS]):
        if _holds(client, folder, probe):
            return ProbeLocation(mailbox, folder.name, folder.role, is_read=folder in read)
    return None


def _holds(client: IMAPClient, folder: Folder, probe: Probe) -> bool:
    letters = open_folder(client, folder.raw).letters
    newest = range(max(1, letters - NEWEST + 1), letters + 1)
    answers = fetch(client, newest, [_FIELDS], by_uid=False).values()
    sections = (value for answer in answers for key, value in answer.items() if key.startswith(b"BODY[HEADER"))
    return any(isinstance(section, bytes) and probe.is_in(section) for section in sections)
