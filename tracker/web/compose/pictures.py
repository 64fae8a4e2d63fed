"""Pictures inside a message: kept with the draft, shown under an address of ours while it is written, sent as `cid:` (RFC 2392)."""

import binascii
import hashlib
import re
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import replace

from sqlmodel import Session, col, select

from tracker.models import Attachment, Message, MessageBody
from tracker.outbound.draft import SendError, check_attachment_sizes
from tracker.runtime.limits import MAX_BODY_BYTES
from tracker.runtime.localized_text import LocalizedText
from tracker.web.compose.drafts import ComposeForm, files_of_draft

_DOMAIN = "@picture.invalid"
_NAME = "[0-9a-f]{24}"
_ADDRESS = re.compile(
    rf"""(\bsrc\s*=\s*["']?)(?:https?://[^/"'\s]*)?/compose/[\w-]+/pictures/({_NAME})""", re.IGNORECASE
)
_CID = re.compile(rf"""(\bsrc\s*=\s*["']?)cid:({_NAME}){_DOMAIN}""", re.IGNORECASE)
_DATA = re.compile(
    r"""(\bsrc\s*=\s*)(["'])data:image/(?:png|jpe?g|gif|webp);base64,([A-Za-z0-9+/=%\s]+)\2""", re.IGNORECASE
)
_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


def kind_of(content: bytes) -> str | None:
    """The media type by the content itself; None for what mail programs do not show as a picture."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for beginning, kind in _BEGINNINGS.items() if content.startswith(beginning)), None)


def keep_picture(session: Session, message: Message, filename: str, content: bytes) -> Attachment:
    """The picture in the draft, once however often it is given. Raises :class:`SendError`."""
    kind = kind_of(content)
    if kind is None:
        text = LocalizedText(
            "%(name)s is not a picture that mail programs show (PNG, JPEG, GIF, WebP). Attach it as a file instead.",
            name=filename,
        )
        raise SendError("attachments", "not_a_picture", text)
    cid = hashlib.sha256(content).hexdigest()[:24] + _DOMAIN
    files = files_of_draft(session, message)
    if same := [file for file in files if file.cid == cid]:
        return same[0]
    check_attachment_sizes([*(file.size for file in files), len(content)])
    picture = Attachment(
        message_id=message.id, filename=filename[-255:], content_type=kind, size=len(content), content=content, cid=cid
    )
    session.add(picture)
    session.flush()
    return picture


def address_of(message: Message, picture: Attachment) -> str:
    """Where the editor shows it from."""
    return f"/compose/{message.public_id}/pictures/{(picture.cid or '').removesuffix(_DOMAIN)}"


def find_picture(session: Session, message: Message, name: str) -> Attachment | None:
    query = select(Attachment).where(Attachment.message_id == message.id, col(Attachment.cid) == name + _DOMAIN)
    return session.exec(query).first()


def as_sent(html: str) -> str:
    """The editor's addresses of pictures as they go out."""
    return _ADDRESS.sub(rf"\1cid:\2{_DOMAIN}", html)


def as_shown(html: str, message: Message | None) -> str:
    """What goes out as the editor shows it."""
    return _CID.sub(rf"\1/compose/{message.public_id}/pictures/\2", html) if message else html


def take_pictures(session: Session, message: Message, typed: ComposeForm) -> ComposeForm:
    """Pictures that came with pasted or quoted text as data become files of the draft. Raises :class:`SendError`."""
    if not _DATA.search(typed.html):
        return typed

    def with_content_id(match: re.Match[str]) -> str:
        content = _decoded(match[3])
        if content is None or kind_of(content) is None:
            return match[0]
        picture = keep_picture(session, message, f"picture.{(kind_of(content) or '').partition('/')[2]}", content)
        return f"{match[1]}{match[2]}cid:{picture.cid}{match[2]}"

    typed = replace(typed, html=_DATA.sub(with_content_id, typed.html))
    body = session.get_one(MessageBody, message.id)
    body.html = typed.html
    return typed


def needed(html: str, files: Sequence[Attachment]) -> list[Attachment]:
    """The files to send: all attachments, and the pictures that the text still shows."""
    shown = {f"{name}{_DOMAIN}" for _, name in _CID.findall(html)}
    return [file for file in files if not file.cid or file.cid in shown]


def _decoded(text: str) -> bytes | None:
    if len(text) > 2 * MAX_BODY_BYTES:
        return None
    try:
        return b64decode(re.sub(r"\s|%0[AaDd]", "", text), validate=True)
    except (binascii.Error, ValueError):
        return None
