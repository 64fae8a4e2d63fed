"""Programs, services and their makers in words: who loaded a picture, and what can be believed of a company's mail."""

from collections.abc import Mapping

from tracker.locale import N_, _
from tracker.mail.mail_providers import GATEWAYS

VENDORS: Mapping[str, str] = {
    "apple": "Apple Mail",
    "barracuda": "Barracuda",
    "cisco": "Cisco Secure Email",
    "checkpoint": "Check Point",
    "fortinet": "FortiMail",
    "google": "Google",
    "hornet": "Hornetsecurity",
    "kaspersky": "Kaspersky",
    "mailru": "Mail.ru",
    "microsoft": "Microsoft",
    "mimecast": "Mimecast",
    "proofpoint": "Proofpoint",
    "sophos": "Sophos",
    "symantec": "Symantec",
    "trellix": "Trellix",
    "trendmicro": "Trend Micro",
    "vade": "Vade",
    "virustotal": "VirusTotal",
    "yahoo": "Yahoo",
    "yandex": "Yandex",
}
_AS_EXCHANGER = {"apple": "iCloud", "google": "Gmail", "microsoft": "Microsoft 365"}
"""What some of them are called where they take a company's mail."""
_GATEWAY = N_("mail passes %(name)s: opens from this company cannot be trusted, clicks can")
_SENTENCES: Mapping[str, str] = {
    "apple": N_("%(name)s: most read in Apple Mail, where opens cannot be known; clicks can"),
    "google": N_("opens through %(name)s: probably; clicks: certainly"),
    "mailru": N_("opens through %(name)s: probably; clicks: certainly"),
    "microsoft": N_("%(name)s checks links first; such checks are not counted"),
    "yahoo": N_("opens through %(name)s: probably; clicks: certainly"),
    "yandex": N_("opens through %(name)s: probably; clicks: certainly"),
}


def trust_label(mx_family: str | None) -> str:
    """One quiet sentence; empty where nothing is known."""
    sentence = _GATEWAY if mx_family in GATEWAYS else _SENTENCES.get(mx_family or "", "")
    name = _AS_EXCHANGER.get(mx_family or "") or VENDORS.get(mx_family or "", mx_family)
    return _(sentence, name=name) if sentence else ""


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


def scanner_name(vendor: str | None) -> str:
    if vendor == "microsoft":
        return _("Microsoft mail protection")
    return VENDORS.get(vendor or "", "") or _("mail protection")
