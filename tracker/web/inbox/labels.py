"""Letters in words: what they are and why, what was odd about them, and what became of them."""

from collections.abc import Mapping

from tracker.inbound.parse.quotations import own_text
from tracker.locale import N_, _
from tracker.models import Letter
from tracker.web.inbox.filter import CATEGORIES

LONGEST_EXCERPT = 600

STATUS_LABELS: Mapping[str, str] = {
    "enquiry": N_("counts as an enquiry"),
    "repeat": N_("a repeat within the repeat period; not counted again"),
    "withdrawn": N_("withdrawn as spam"),
    "old": N_("old mail, met when the server was read again; not counted"),
    "unreadable": N_("could not be read; kept as it came"),
    "no_person": N_("not counted: only letters from people are enquiries"),
}
"""Whether a letter counts, and if not, why."""


def category_label(category: str) -> str:
    return _(CATEGORIES[category]) if category in CATEGORIES else category.replace("_", " ")


def status_of(letter: Letter) -> str:
    """A key of :data:`STATUS_LABELS`."""
    if letter.withdrawn_at is not None:
        return "withdrawn"
    if letter.counted:
        return "enquiry"
    if letter.repeat_of_id is not None:
        return "repeat"
    if letter.recovered or letter.backfilled:
        return "old"
    return "unreadable" if letter.unparsed else "no_person"


def status_label(letter: Letter) -> str:
    return _(STATUS_LABELS[status_of(letter)])


def excerpt(text: str) -> str:
    """What is new in an answer: what its writer wrote, and no more than fits a timeline."""
    fresh = own_text(text)
    return fresh if len(fresh) <= LONGEST_EXCERPT else f"{fresh[:LONGEST_EXCERPT].rstrip()} …"


def reason_label(reason: str) -> str:
    """Why a letter is what it is: a code, with the evidence behind a colon."""
    code, _colon, what = reason.partition(":")
    if code not in REASONS:
        return reason.replace("_", " ")
    return _(REASONS[code], what=what) if "%(what)s" in REASONS[code] else _(REASONS[code])


def oddities(letter: Letter) -> list[str]:
    """What is odd about a letter, its own bytes and what was found out about it."""
    return [_odd(code) for code in [*(letter.flags or ()), *(letter.defects or ())]]


def _odd(code: str) -> str:
    if code in ODDITIES:
        return _(ODDITIES[code])
    for how, words in ADDRESS_ODDITIES.items():
        if code.endswith(f"_{how}"):
            return _(words, field=code.removesuffix(f"_{how}").replace("_", "-").title())
    return code.replace("_", " ")


REASONS: Mapping[str, str] = {
    "nothing_else": N_("nothing marks it as sent by a machine"),
    "signed_header": N_("Inkling sent it; its signature is right"),
    "delivery_report": N_("it is a delivery report"),
    "delivery_status_part": N_("it holds a delivery report"),
    "empty_return_path": N_("it comes from a mail system and has no return path"),
    "disposition_notification": N_("it is a read receipt"),
    "disposition_part": N_("it holds a read receipt"),
    "auto_submitted": N_("its header says “Auto-Submitted: %(what)s”"),
    "precedence": N_("its header says “Precedence: %(what)s”"),
    "field": N_("it has the header field “%(what)s”"),
    "subject": N_("its subject begins with “%(what)s”"),
    "unanswerable": N_("its return path is empty: nobody may answer it"),
    "mail_system": N_("a mail system wrote it"),
    "feedback_report": N_("it is a report that somebody pressed “spam”"),
    "machine_report": N_("it is a report that mail systems send each other"),
    "dmarc_report": N_("it is a DMARC report"),
    "other_report": N_("it is a report"),
    "reaction_part": N_("it is a reaction, such as a thumb up"),
    "reaction_words": N_("it says only that somebody reacted"),
    "from_own_address": N_("it was sent from an address of your own"),
}
ODDITIES: Mapping[str, str] = {
    "forwarded": N_("Somebody forwarded it."),
    "duplicate_message_id": N_("Another letter has the same Message-ID."),
    "sender_differs": N_("The sender is not who the message was written to."),
    "ambiguous": N_("It fits more than one."),
    "headers_cut": N_("Its header section is enormous; only the beginning was read."),
    "field_repeated": N_("A header field that may stand once stands several times; the first one counts."),
    "date_missing": N_("It has no date."),
    "date_unusable": N_("Its date cannot be read."),
    "date_zone_unknown": N_("Its date names a time zone that is not known."),
    "too_many_parts": N_("It has more parts than Inkling reads."),
    "too_many_files": N_("It has more files than Inkling lists."),
    "multipart_without_parts": N_("It announces parts that are not there."),
    "body_cut": N_("Its text is enormous; only the beginning is shown."),
}
ADDRESS_ODDITIES: Mapping[str, str] = {
    "field_cut": N_("The field %(field)s is enormous; only its beginning was read."),
    "too_many_addresses": N_("The field %(field)s has more addresses than Inkling keeps."),
    "address_by_pattern": N_("The field %(field)s is not written properly; the address in it was guessed."),
    "address_unusable": N_("The field %(field)s holds something that is no address."),
}
