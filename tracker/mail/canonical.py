"""When two connections are one mailbox. Pure."""

from tracker.mail.addresses import AddressError, normalise

_GMAIL = frozenset({"gmail.com", "googlemail.com"})
_YANDEX = frozenset({"yandex.ru", "yandex.com", "yandex.by", "yandex.kz", "yandex.ua", "ya.ru"})


def canonical(login: str, host: str) -> str:
    """The form under which two logins open the same mailbox; unique in the whole installation.

    An address in lower case, its domain as A-labels, without ``+tag``; Gmail without dots, Yandex under one domain with ``-`` and
    ``.`` alike. A login that is no address means something together with its host only.
    """
    address = login.strip().lower()
    local, at, domain = address.rpartition("@")
    if not at:
        return f"{address} at {host.strip().lower()}"
    local, domain = local.partition("+")[0] or local, _domain(domain)
    if domain in _GMAIL:
        return f"{local.replace('.', '')}@gmail.com"
    if domain in _YANDEX:
        return f"{local.replace('-', '.')}@yandex.ru"
    return f"{local}@{domain}"


def _domain(domain: str) -> str:
    try:
        return normalise(f"x@{domain}").rpartition("@")[2]
    except AddressError:  # a name of some internal network; the server knows it
        return domain
