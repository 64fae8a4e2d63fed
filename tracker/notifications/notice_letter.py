"""The mail of a notice: plain words in two forms, signed so that no mailbox we read takes it for a letter."""

from tracker.locale import _, localize
from tracker.locale.templates import write
from tracker.mail.addresses import Mailbox as Person
from tracker.mail.addresses import domain_of
from tracker.mail.message_ids import NOTICE_HEADER, new_id, notice_mark
from tracker.mail.mime.build import NewMessage, build_message
from tracker.models import Account, Letter, Mailbox, Notice, User
from tracker.notifications.notice_labels import PROBLEMS, notice_label
from tracker.runtime.context import AppContext


def write_notice(
    context: AppContext, person: User, account: Account, notice: Notice, mailbox: Mailbox, letter: Letter | None
) -> bytes:
    """The notice in wire form, in the language being spoken. The same notice always has the same Message-ID."""
    message_id = new_id(context.keyring, "n", f"{notice.id or 0:08d}", domain_of(account.address))
    title, site = localize(notice_label(notice, mailbox, letter)), context.settings.base_url
    facts = {
        "title": title,
        "lines": _lines(notice, mailbox),
        "links": [f"{site}/letters/{public_id}" for public_id in notice.facts.get("letters_of", [])],
        "page": f"{site}/mailboxes/{mailbox.public_id}",
    }
    return build_message(
        NewMessage(
            sender=Person(account.address, "Inkling"),
            to=(Person(person.email, person.name),),
            subject=title,
            message_id=message_id,
            date=notice.created_at,
            html=write("letters/notice.html", **facts),
            text=write("letters/notice.txt", **facts),
            headers=(
                ("Auto-Submitted", "auto-generated"),  # RFC 3834: no machine answers it
                ("X-Loop", account.address),
                (NOTICE_HEADER, notice_mark(context.keyring, message_id)),
            ),
        )
    )


def _lines(notice: Notice, mailbox: Mailbox) -> list[str]:
    if notice.event == "problems":
        return [f"- {_(PROBLEMS.get(code, code))} ({count})" for code, count in notice.facts.get("codes", {}).items()]
    return (
        [localize(mailbox.state_detail)] if notice.event in ("broken", "broken_long") and mailbox.state_detail else []
    )
