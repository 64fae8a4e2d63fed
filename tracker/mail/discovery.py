"""Where the mail of an address is sent from and read: by its domain, by that domain's mail exchanger, by its SRV records, by the
description that its owner publishes for mail programs (autoconfig)."""

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

import httpx
from dns.exception import DNSException
from dns.rdtypes.IN.SRV import SRV
from dns.resolver import NoResolverConfiguration

from tracker.mail.addresses import AddressError, domain_of, normalise
from tracker.mail.recipient_mx import is_never_asked, look_up, resolver
from tracker.runtime.context import AppContext

AUTOCONFIG_SECONDS = 4.0
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
PRESET_OF_DOMAIN: Mapping[str, str] = {
    domain: preset for preset, domains in _DOMAINS.items() for domain in domains.split()
}
_BY_FAMILY: Mapping[str, str] = {
    "google": "gmail",
    "microsoft": "microsoft",
    "yandex": "yandex",
    "mailru": "mailru",
    "apple": "icloud",
    "yahoo": "yahoo",
}
_SERVICES = {
    "imap": (("_imaps._tcp", "tls"), ("_imap._tcp", "starttls")),
    "smtp": (("_submissions._tcp", "tls"), ("_submission._tcp", "starttls")),
}
"""RFC 6186 section 3, RFC 8314 section 5.1: what is encrypted from the first byte comes first."""


@dataclass(frozen=True)
class ServerAddress:
    host: str
    port: int
    security: str


@dataclass(frozen=True)
class MailServers:
    """``imap`` for reading and ``smtp`` for sending. ``login`` where it is not the address."""

    imap: ServerAddress
    smtp: ServerAddress
    login: str = ""
    over_https: bool = False
    """The domain itself said so, over HTTPS."""

    def vouched_for(self, domain: str) -> bool:
        """Whether a password may go there unasked: DNS alone vouches for no host of another domain (RFC 6186 section 6)."""
        hosts = (self.imap.host, self.smtp.host)
        return self.over_https or all(host == domain or host.endswith(f".{domain}") for host in hosts)


def preset_of(context: AppContext, address: str) -> str | None:
    """The preset of the service where this address has its mail: by its domain, else by that domain's mail exchanger (which
    may take some seconds to ask). None when that is none we know."""
    try:
        domain = domain_of(normalise(address))
    except AddressError:
        return None
    if domain in PRESET_OF_DOMAIN:
        return PRESET_OF_DOMAIN[domain]
    return _BY_FAMILY.get(look_up(context, domain).mx_family or "")


def published_servers(context: AppContext, address: str) -> MailServers | None:
    """What the domain of an address publishes about its servers, encrypted ones only. Takes some seconds at the most; never
    raises."""
    domain = domain_of(address)
    if is_never_asked(context, domain):
        return None
    return _by_srv(context, domain) or _autoconfig(context, address, domain)


def _by_srv(context: AppContext, domain: str) -> MailServers | None:
    imap, smtp = _service(context, domain, "imap"), _service(context, domain, "smtp")
    return MailServers(imap, smtp) if imap and smtp else None


def _service(context: AppContext, domain: str, kind: str) -> ServerAddress | None:
    for name, security in _SERVICES[kind]:
        try:
            answer = resolver(context).resolve(f"{name}.{domain}.", "SRV", search=False)
        except (DNSException, NoResolverConfiguration, OSError, ValueError):
            continue
        records = sorted((record for record in answer if isinstance(record, SRV)), key=lambda record: record.priority)
        for record in records:
            host = record.target.to_text(omit_final_dot=True).lower()
            if host not in ("", ".", "@"):  # RFC 2782: the service is decidedly not there
                return ServerAddress(host[:255], record.port, security)
    return None


def _autoconfig(context: AppContext, address: str, domain: str) -> MailServers | None:
    """Over HTTPS only: whoever answers there is the domain."""
    for url in (
        f"https://autoconfig.{domain}/mail/config-v1.1.xml",
        f"https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml",
    ):
        try:
            answer = context.web_request("GET", url, seconds=AUTOCONFIG_SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL):
            continue
        if answer.status_code == 200 and (servers := read_autoconfig(answer.content, address)) is not None:
            return servers
    return None


def read_autoconfig(document: bytes, address: str) -> MailServers | None:
    """The first encrypted IMAP and SMTP server that take a password, of a description in Mozilla's format, version 1.1. Never
    raises."""
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        return None
    try:
        provider = ElementTree.fromstring(document).find("emailProvider")  # noqa: S314  short, and declares no entities
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    if provider is None:
        return None
    imap = _described(provider, "incomingServer", "imap", domain_of(address))
    smtp = _described(provider, "outgoingServer", "smtp", domain_of(address))
    if imap is None or smtp is None:
        return None
    login = _filled(imap[1], address)
    return MailServers(imap[0], smtp[0], "" if login == address else login, over_https=True)


def _described(provider: ElementTree.Element, tag: str, kind: str, domain: str) -> tuple[ServerAddress, str] | None:
    securities = {"SSL": "tls", "STARTTLS": "starttls"}
    for server in provider.iter(tag):
        host = _text(server, "hostname").replace("%EMAILDOMAIN%", domain).lower()
        port = _text(server, "port")[:6]
        security = securities.get(_text(server, "socketType").upper())
        ways = {(way.text or "").strip() for way in server.iter("authentication")}
        takes_password = not ways or bool(ways & {"password-cleartext", "plain", "password-encrypted"})
        is_port = port.isascii() and port.isdigit() and 0 < int(port) < 65536
        if server.get("type") == kind and security and host and "%" not in host and takes_password and is_port:
            return ServerAddress(host[:255], int(port), security), _text(server, "username")
    return None


def _text(server: ElementTree.Element, tag: str) -> str:
    return (server.findtext(tag) or "").strip()


def _filled(pattern: str, address: str) -> str:
    local, _at, domain = address.rpartition("@")
    names = {"%EMAILADDRESS%": address, "%EMAILLOCALPART%": local, "%EMAILDOMAIN%": domain}
    for name, value in names.items():
        pattern = pattern.replace(name, value)
    return pattern[:254] or address
