"""The value of an href: what a browser would request, or why it is not a web address."""

import re
from urllib.parse import quote, unquote, urljoin

# The usual address: lower-case scheme and host, nothing that a browser would change.
_PLAIN = re.compile(r"https?://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(:[0-9]{1,4})?(?:[/?#][!-\[\]-~]*)?")
# Such an address without a port, and without anything that may be a template's placeholder.
_USUAL = re.compile(r"https?://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?:[/?#](?:[!-$&-;=?-Z\]-z~]++|%(?![%7]))*+)?")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_ABSOLUTE = re.compile(
    r"https?:[/\\]{2,}(?P<authority>[^/\\?#]*)(?P<path>[^?#]*)(?P<rest>.*)", re.IGNORECASE | re.DOTALL
)
_AUTHORITY = re.compile(r"(?:(?P<user>.*)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::(?P<port>[0-9]*))?", re.DOTALL)
_FORBIDDEN_IN_HOST = re.compile(r"[\x00-\x20\"#%/:<>?@\[\\\]^`{|}\x7f]")
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{%|%\}|\$\{|<%|%>|\*\||\|\*|%7B%7B|\[\[|%%[A-Za-z_]+%%", re.IGNORECASE)
_BLANK = re.compile(r"[\x00-\x20]")
_STRIPPED = "".join(map(chr, range(0x21)))
_REMOVED = str.maketrans("", "", "\t\n\r")
# Every printable ASCII character stays as it was written: "%2F", "+", "[", "'" and '"' mean what they meant.
_KEEP = "".join(map(chr, range(0x21, 0x7F)))
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def trimmed(value: str) -> str:
    """A decoded value as the URL standard (4.4) begins: no control or space around it, no tab or line break in it."""
    return value.strip(_STRIPPED).translate(_REMOVED) if _BLANK.search(value) is not None else value


def usual_host(value: str) -> str | None:
    """The host of a decoded value that is a canonical web address, without port or placeholder; None for any other."""
    usual = _USUAL.fullmatch(value)
    return usual[1] if usual is not None else None


def web_address(value: str) -> str | None:
    """The absolute http or https address, in ASCII, that a browser would request for a trimmed value; None for any other.

    Characters are changed only where a browser must: scheme and host become lower case and A-labels, backslashes of the
    path slashes, and what is not printable ASCII percent-encoded UTF-8. `https:x` and `https:/x` depend on the page that
    shows them and are no web addresses here; nor is one with a host or port that browsers refuse.
    """
    if _PLAIN.fullmatch(value) is not None:
        return value
    parts = _ABSOLUTE.fullmatch(value)
    authority = _AUTHORITY.fullmatch(parts["authority"]) if parts is not None else None
    if parts is None or authority is None or "\ufffd" in value or not _encodable(value):
        return None
    host, port = _host(authority["host"]), authority["port"]
    if host is None or (port and int(port[:6]) > 65535):
        return None
    scheme = "https" if value[4] in "sS" else "http"
    user = "" if authority["user"] is None else _percent_encoded(authority["user"].replace("@", "%40")) + "@"
    tail = "" if port is None else ":" + port
    path = parts["path"].replace("\\", "/")
    return f"{scheme}://{user}{host}{tail}{_percent_encoded(path)}{_percent_encoded(parts['rest'])}"


def host_and_port(url: str) -> str:
    """`host` or `host:port` of a web address in canonical form; the scheme's own port is left out."""
    plain = _PLAIN.fullmatch(url)
    if plain is not None and plain[2] is None:
        return plain[1]
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2].lower()
    host, colon, port = authority.rpartition(":") if not authority.endswith("]") else (authority, "", "")
    host = host if colon else authority
    return host if port in ("", _DEFAULT_PORTS[scheme]) else f"{host}:{port}"


def no_web_address(value: str) -> str:
    """Why a trimmed value that is no web address is left: `empty`, `fragment`, `relative`, `bad_url` or `not_http`."""
    if not value:
        return "empty"
    if value.startswith("#"):
        return "fragment"
    scheme = _SCHEME.match(value)
    if scheme is None:
        return "relative"
    return "bad_url" if scheme[1].lower() in _DEFAULT_PORTS else "not_http"


def has_placeholder(value: str) -> bool:
    """True when a template's placeholder is still in the value."""
    return _PLACEHOLDER.search(value) is not None


def resolved(value: str, base: str) -> str:
    """A relative value against the document's base, for the report only; the value itself when that cannot be done."""
    try:
        return urljoin(base, value) if base else value
    except ValueError:
        return value


def _percent_encoded(text: str) -> str:
    return text if text.isascii() and text.isprintable() and " " not in text else quote(text, safe=_KEEP)


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate: a byte that is no character of the charset
        return False
    return True


def _host(host: str) -> str | None:
    if host.startswith("["):
        return host.lower()
    if "%" in host:
        host = unquote(host, errors="replace")
    host = host.lower() if host.isascii() else _a_labels(host)
    return None if not host or _FORBIDDEN_IN_HOST.search(host) else host


def _a_labels(host: str) -> str:
    """Domain to ASCII (UTS 46, non-transitional) without the checks that browsers leave out; empty when it has none."""
    import idna  # its tables take 20 ms to load, and only rare links need them

    try:
        mapped = idna.uts46_remap(host, std3_rules=False, transitional=False)
        return ".".join(_a_label(label) for label in mapped.split("."))
    except (idna.IDNAError, UnicodeError):
        return ""


def _a_label(label: str) -> str:
    return label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii")
