"""Somebody's mail HTML, made fit to be shown: nothing runs, nothing is fetched unless asked, every link opens outside.

Three fences, each enough by itself: the sanitiser, the frame's sandbox, and the frame's own Content-Security-Policy.
"""

import base64
import html as entities
import re
from collections.abc import Mapping
from dataclasses import dataclass

from turbohtml.clean import DEFAULT_CSS_PROPERTIES, DEFAULT_TAGS, OnDisallowed, Policy, Sanitizer

from tracker.mail.mime.pictures import CID, content_id, shown_kind

SANDBOX = "allow-same-origin allow-popups allow-popups-to-escape-sandbox"
"""For the frame's attribute and header. Same origin lets our page measure the frame's height; scripts stay forbidden."""

_RUNS = re.compile(
    r"<\s*(script|iframe|object|embed|applet|form|meta|base|svg|math|template)\b|[\s/\"'`]on[a-z]+\s*=|(java|vb)script\s*:",
    re.IGNORECASE,
)
_REMOTE_IMAGE = re.compile(r"<img\b[^>]*\bsrc\s*=\s*[\"']?+(?!data:)[^>]*>", re.IGNORECASE)
_TAG_NAMES = """
address article aside big caption center cite col colgroup dd del details dfn div dl dt figcaption figure font footer
h1 h2 h3 h4 h5 h6 header hr img ins kbd main mark p pre q s samp section small span strike style sub summary sup table
tbody td tfoot th thead tr tt u var wbr br b i em strong a ul ol li blockquote code
"""
_GONE_WITH_CONTENT = "script noscript iframe object embed applet form template svg math title select textarea"
_CSS_NAMES = """
background border border-top border-right border-bottom border-left border-width border-style border-radius
border-spacing margin margin-top margin-right margin-bottom margin-left padding padding-top padding-right padding-bottom
padding-left max-width min-width max-height min-height list-style list-style-type text-transform table-layout word-break
word-wrap overflow-wrap opacity box-sizing
"""
_ATTRIBUTES = {
    "*": frozenset({"style", "class", "dir", "lang", "align", "valign", "width", "height", "bgcolor", "title"}),
    "a": frozenset({"href", "name"}),
    "img": frozenset({"src", "alt", "border"}),
    "font": frozenset({"color", "face", "size"}),
    "table": frozenset({"border", "cellpadding", "cellspacing", "role"}),
    "td": frozenset({"colspan", "rowspan", "nowrap"}),
    "th": frozenset({"colspan", "rowspan", "nowrap", "scope"}),
    "ol": frozenset({"start", "type"}),
    "li": frozenset({"value"}),
    "details": frozenset({"open"}),
}


def _is_data_link(tag: str, name: str, value: str) -> bool:
    """Embedded data may be a picture, never a place to go."""
    return tag == "a" and name == "href" and "".join(value.split()).lower().startswith("data:")


_SANITIZER = Sanitizer(
    Policy(
        tags=DEFAULT_TAGS | frozenset(_TAG_NAMES.split()),
        attributes=_ATTRIBUTES,
        url_schemes=frozenset({"http", "https", "mailto", "tel", "data"}),
        allow_relative_urls=False,
        allow_fragment_urls=True,
        on_disallowed_tag=OnDisallowed.STRIP,
        remove_with_content=frozenset(_GONE_WITH_CONTENT.split()),
        css_properties=DEFAULT_CSS_PROPERTIES | frozenset(_CSS_NAMES.split()),
        add_link_rel=frozenset({"noopener", "noreferrer", "nofollow"}),
        set_attributes={"a": {"target": "_blank"}},
        attribute_filter=lambda tag, name, value: None if _is_data_link(tag, name, value) else value,
        isolate_named_props=True,
    )
)
_PAGE = """<!doctype html><html lang="und"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="{scheme}"><base target="_blank"><title>{title}</title><style>
html{{background:#fff;color:#1b1f24;font:15px/1.5 system-ui,sans-serif}}body{{margin:0;padding:16px 20px;overflow-wrap:anywhere}}
body>:first-child{{margin-top:0}}body>:last-child{{margin-bottom:0}}
img{{max-width:100%;height:auto}}table{{max-width:100%}}pre{{white-space:pre-wrap}}a{{color:#0b57d0}}
blockquote{{margin:0 0 0 2px;padding-left:12px;border-left:3px solid #d5d9df;color:#444}}{dark}
</style></head><body>{body}</body></html>"""


_COLOURS = re.compile(r"color\s*[:=]|background(?:-image)?\s*[:=]", re.IGNORECASE)
_DARK = "html{background:#181c24;color:#e6e9ef}a{color:#9db4ff}blockquote{border-left-color:#3a4150;color:#b8bfcb}"
_TURNED = (
    "html{filter:invert(.91) hue-rotate(180deg)}"
    "img,[background],[style*='url(']{filter:invert(1) hue-rotate(180deg) brightness(1.08)}"
)


@dataclass(frozen=True)
class SafeMail:
    """A whole document for the frame and the policy to send with it."""

    document: str
    content_security_policy: str


def safe_mail(
    html: str, title: str, pictures: Mapping[str, tuple[str, bytes]], remote_images: bool, theme: str = "light"
) -> SafeMail:
    """`pictures` are the message's own parts by Content-ID (RFC 2392), as (content type, bytes). ``theme`` is light, dark or auto:
    on dark paper a mail that names no colours has ours, another one has its own turned round, but for pictures. Never raises."""
    body = _SANITIZER.sanitize(with_own_pictures(html, pictures))
    is_coloured = bool(_COLOURS.search(body))
    page = _PAGE.format(
        title=entities.escape(title),
        body=body,
        dark=_dark(is_coloured, theme),
        scheme="light" if is_coloured else {"dark": "dark", "auto": "light dark"}.get(theme, "light"),
    )
    return SafeMail(page, content_security_policy(remote_images))


def _dark(is_coloured: bool, theme: str) -> str:
    rules = _TURNED if is_coloured else _DARK
    return {"dark": rules, "auto": f"@media (prefers-color-scheme:dark){{{rules}}}"}.get(theme, "")


def clean(html: str) -> str:
    """The HTML without anything that runs, loads a frame, or asks for input."""
    return _SANITIZER.sanitize(html)


def runs_something(html: str) -> bool:
    """Whether the HTML holds scripts in any form. When in doubt, yes."""
    return bool(_RUNS.search(html))


def content_security_policy(remote_images: bool) -> str:
    """The frame's policy: styles and embedded pictures, and remote pictures only when asked for."""
    images = "data: https: http:" if remote_images else "data:"
    return (
        f"default-src 'none'; img-src {images}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors 'self'; sandbox {SANDBOX}"
    )


def has_remote_images(html: str) -> bool:
    """Whether showing pictures would tell somebody outside."""
    lowered = html.lower()
    return "<img" in lowered and ("http://" in lowered or "https://" in lowered or 'src="//' in lowered)


def without_remote_images(html: str) -> str:
    """Without the pictures that lie elsewhere: loading them would tell somebody."""
    return _REMOTE_IMAGE.sub("", html)


def with_own_pictures(html: str, pictures: Mapping[str, tuple[str, bytes]]) -> str:
    """The HTML with `cid:` pictures as data inside it; `pictures` are (content type, bytes) by Content-ID."""
    if not pictures:
        return html

    def picture(match: re.Match[str]) -> str:
        content_type, content = pictures.get(content_id(match), ("", b""))
        kind = shown_kind(content, content_type)
        return f"{match[1]}data:{kind};base64,{base64.b64encode(content).decode()}" if kind else match[0]

    return CID.sub(picture, html)
