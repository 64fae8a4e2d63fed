"""What can be believed of a recipient, by the mail exchanger of the company: gateways, mail services, Apple."""

from collections.abc import Mapping

from tracker.locale import N_, _
from tracker.mail.mail_providers import GATEWAYS

NAMES: Mapping[str, str] = {
    "apple": "iCloud",
    "barracuda": "Barracuda",
    "checkpoint": "Check Point",
    "cisco": "Cisco Secure Email",
    "fortinet": "FortiMail",
    "google": "Gmail",
    "hornet": "Hornetsecurity",
    "mailru": "Mail.ru",
    "microsoft": "Microsoft 365",
    "mimecast": "Mimecast",
    "proofpoint": "Proofpoint",
    "sophos": "Sophos",
    "symantec": "Symantec",
    "trendmicro": "Trend Micro",
    "vade": "Vade",
    "yahoo": "Yahoo",
    "yandex": "Yandex",
}
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
    return _(sentence, name=NAMES.get(mx_family or "", mx_family)) if sentence else ""
