"""The mail program or browser behind a hit, in the reader's language."""

from collections.abc import Mapping

from tracker.locale import N_, _

# What is stored where a program has no name of its own.
_KINDS: Mapping[str, str] = {
    "Android mail app": N_("a mail app on Android"),
    "Mail protection": N_("mail protection"),
    "App on iOS": N_("an app on iOS"),
}


def client_label(client: str) -> str:
    """ "Chrome on Windows" as the reader says it; names of products stay what they are."""
    if client in _KINDS:
        return _(_KINDS[client])
    browser, on, system = client.partition(" on ")
    return _("%(browser)s on %(system)s", browser=browser, system=system) if on and system else client
