"""The columns of reports and the values in them, in words."""

from collections.abc import Mapping
from typing import Any

from tracker.inbound.mailbox_report import CLASSES
from tracker.locale import N_, babel_locale
from tracker.locale import gettext as _
from tracker.sites.attribution_text import FLAG_LABELS, METHOD_LABELS
from tracker.sites.source_names import CHANNEL_LABELS
from tracker.web.inbox.filter import CATEGORIES
from tracker.web.mailboxes.rows import STATES

TITLES: Mapping[str, str] = {
    "letters": N_("Letters"),
    "sources": N_("Enquiries by source"),
    "enquiries": N_("Answers"),
    "answers": N_("Who answered"),
    "rules": N_("Rules"),
    "mailboxes": N_("Mailboxes"),
    "activity": N_("Activity"),
}
_COLUMNS: Mapping[str, str] = {
    "id": N_("Number"),
    "received_at": N_("Received"),
    "sender": N_("From"),
    "sender_name": N_("Name"),
    "to": N_("To"),
    "cc": N_("Cc"),
    "bcc": N_("Bcc"),
    "address": N_("Written to"),
    "subject": N_("Subject"),
    "snippet": N_("Text"),
    "has_attachments": N_("Files"),
    "attachments": N_("Names of the files"),
    "category": N_("Kind of letter"),
    "counted": N_("Counted"),
    "repeat_of": N_("Repeat of"),
    "method": N_("Found by"),
    "flags": N_("Remarks"),
    "rule": N_("Rule"),
    "code": N_("Code"),
    "site": N_("Site"),
    "channel": N_("Channel"),
    "group": N_("Group"),
    "source": N_("Source"),
    "campaign": N_("Campaign"),
    "click_ids": N_("Click numbers"),
    "marks": N_("Marks"),
    "referrer": N_("The page before it"),
    "referrer_domain": N_("The site before it"),
    "phrase": N_("Searched for"),
    "page": N_("Last page"),
    "entrance_page": N_("Entrance page"),
    "visitor": N_("Visitor"),
    "session": N_("Session"),
    "visit": N_("Visit"),
    "visit_at": N_("Visit began"),
    "visit_number": N_("Visit number"),
    "pages_seen": N_("Pages seen"),
    "country": N_("Country, by the clock"),
    "timezone": N_("Time zone"),
    "device": N_("Device"),
    "client": N_("Browser"),
    "screen": N_("Screen"),
    "language": N_("Language"),
    "manager": N_("Manager"),
    "customer": N_("Customer"),
    "tags": N_("Tags"),
    "order": N_("Order"),
    "loaded_after_seconds": N_("Loaded after"),
    "visits": N_("Visits"),
    "enquiries": N_("Enquiries"),
    "share": N_("Share"),
    "senders": N_("Senders"),
    "new_senders": N_("New senders"),
    "conversion": N_("Conversion"),
    "answered": N_("Answered"),
    "unanswered": N_("Unanswered"),
    "median_seconds": N_("Half within"),
    "p90_seconds": N_("Nine of ten within"),
    "bound_order_number": N_("By order number"),
    "bound_sender": N_("By sender"),
    "bound_created": N_("New customers"),
    "bound_reply": N_("Replies"),
    "bound_by_hand": N_("By hand"),
    "unbound": N_("Not bound"),
    "answers": N_("First answers"),
    "state": N_("State"),
    "impressions": N_("Page views with it"),
    "visitors": N_("Visitors"),
    "coverage": N_("Coverage"),
    "letters": N_("Letters"),
    "letters_with_visit": N_("Letters with their visit"),
    "unknown_codes": N_("Unknown codes"),
    "leaked_codes": N_("Leaked codes"),
    "mailbox": N_("Mailbox"),
    "last_run_at": N_("Last run"),
    "good_run_at": N_("Last good run"),
    "lag_seconds": N_("Behind by"),
    "problem": N_("Problem"),
    "failures": N_("Failures in a row"),
    "retries": N_("To be tried again"),
    "repeats": N_("Repeats"),
    "skipped_customer_not_found": N_("Customer not found"),
    "skipped_own_address": N_("From one’s own address"),
    "skipped_no_sender": N_("Without a sender"),
    "unparsed": N_("Not readable"),
    "too_large": N_("Too large"),
    "attachment": N_("File left out"),
    "retry_exhausted": N_("Given up"),
    "day": N_("Day"),
    "week": N_("Week"),
    "month": N_("Month"),
    **{name: CATEGORIES[name] for name in CLASSES},
}
_RULE_STATES = {"active": N_("active"), "draft": N_("draft"), "removed": N_("removed")}
_VALUES: Mapping[str, Mapping[str, str]] = {
    "method": METHOD_LABELS,
    "flags": FLAG_LABELS,
    "channel": CHANNEL_LABELS,
    "category": CATEGORIES,
    "state": {str(state): label for state, (label, _tone) in STATES.items()},
    "rule_state": _RULE_STATES,
}
COMPARISON_LABELS: Mapping[str, str] = {
    "": N_("has"),
    "is": N_("is"),
    "not": N_("is not"),
    "min": N_("is at least"),
    "max": N_("is at most"),
}


def column_label(column: str) -> str:
    """A mark of advertising is its own name."""
    return _(_COLUMNS[column]) if column in _COLUMNS else column


def value_label(column: str, value: Any) -> str:
    """Codes in words; several stand in one cell with a comma between."""
    if column == "country":
        return str(babel_locale().territories.get(value, value))
    labels = _VALUES.get(column)
    return str(value) if labels is None else ", ".join(_(labels.get(part, part)) for part in str(value).split(", "))
