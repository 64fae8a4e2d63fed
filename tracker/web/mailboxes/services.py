"""Which mail service an address belongs to, so that nobody has to know server names."""

from collections.abc import Mapping

from tracker.mail.addresses import AddressError, domain_of, normalise
from tracker.mail.recipient_mx import look_up
from tracker.runtime.context import AppContext

BY_ADDRESS = "auto"
"""The choice "by my address" of the form: no preset, but the way to one."""

_DOMAINS: Mapping[str, str] = {
    "gmail": "gmail.com googlemail.com",
    "microsoft": "outlook.com hotmail.com live.com msn.com office365.com",
    "yandex": "yandex.ru yandex.com yandex.by yandex.kz yandex.ua ya.ru narod.ru",
    "mailru": "mail.ru inbox.ru bk.ru list.ru internet.ru",
    "icloud": "icloud.com me.com mac.com",
    "yahoo": "yahoo.com ymail.com rocketmail.com",
    "fastmail": "fastmail.com fastmail.fm",
    "rambler": "rambler.ru lenta.ru autorambler.ru myrambler.ru ro.ru",
}
_BY_DOMAIN = {domain: preset for preset, domains in _DOMAINS.items() for domain in domains.split()}
_BY_FAMILY: Mapping[str, str] = {
    "google": "gmail",
    "microsoft": "microsoft",
    "yandex": "yandex",
    "mailru": "mailru",
    "apple": "icloud",
    "yahoo": "yahoo",
}


def preset_of(context: AppContext, address: str) -> str | None:
    """The preset of the service where this address has its mail: by its domain, else by that domain's mail exchanger (which
    may take some seconds to ask). None when that is none we know."""
    try:
        domain = domain_of(normalise(address))
    except AddressError:
        return None
    if domain in _BY_DOMAIN:
        return _BY_DOMAIN[domain]
    return _BY_FAMILY.get(look_up(context, domain).mx_family or "")
