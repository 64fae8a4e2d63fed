"""Hosts of websites as people write them, in one form. Pure."""

import re
from urllib.parse import urlsplit

import idna

from tracker.runtime.localized_text import ActionError, LocalizedText

_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
KNOWN_DETOURS = (
    *(
        "paypal.com",
        "stripe.com",
        "checkout.com",
        "klarna.com",
        "adyen.com",
        "mollie.com",
        "squareup.com",
        "yookassa.ru",
    ),
    *(
        "yoomoney.ru",
        "robokassa.ru",
        "cloudpayments.ru",
        "tinkoff.ru",
        "tbank.ru",
        "sberbank.ru",
        "sbp.nspk.ru",
        "payanyway.ru",
    ),
    *("accounts.google.com", "login.microsoftonline.com", "login.live.com", "appleid.apple.com", "passport.yandex.ru"),
    *("oauth.yandex.ru", "id.vk.com", "oauth.vk.com", "gosuslugi.ru"),
)
"""Where a visitor goes to pay or to sign in, and comes back from: nothing begins there."""


def normalise_host(text: str) -> str:
    """``https://WWW.Пример.рф:8080/page`` is ``xn--e1afmkfd.xn--p1ai``. Raises :class:`ActionError`."""
    written = text.strip().lower()
    if "//" not in written:
        written = f"//{written}"
    try:
        host = (urlsplit(written).hostname or "").rstrip(".").removeprefix("www.")
        host = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except (ValueError, idna.IDNAError):
        host = ""
    if not _HOST.fullmatch(host) or len(host) > 253:
        sentence = LocalizedText(
            "“%(host)s” is not the name of a website. Write it like shop.example.com.", host=text.strip()[:80]
        )
        raise ActionError("invalid", sentence, "hosts")
    return host


def shown_host(host: str) -> str:
    """As people read it: Cyrillic and other letters instead of their code."""
    try:
        return idna.decode(host) if "xn--" in host else host
    except (ValueError, idna.IDNAError):
        return host
