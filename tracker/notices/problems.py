"""What can go wrong with letters, in words."""

from collections.abc import Mapping

from tracker.locale import N_

PROBLEMS: Mapping[str, str] = {
    "unparsed": N_("A letter could not be understood; it is kept as it came."),
    "too_large": N_("A letter was too large; only its beginning was loaded."),
    "attachment": N_("An attachment was not taken."),
    "retry_exhausted": N_("A letter could not be loaded after several tries."),
    "rebuilt": N_("The mailbox was rebuilt on its server; its letters were found again."),
    "backfilled": N_("Old letters were put into the mailbox; they are stored and not counted."),
    "loop": N_("One sender wrote very often; its letters are stored without notices."),
    "customer_not_found": N_("A letter was skipped: no such customer."),
}
