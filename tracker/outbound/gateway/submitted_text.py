"""What a raw message says about itself, read leniently: names, ids, words. Nothing here raises on bad mail."""

import re
from collections.abc import Iterator

from tracker.mail.addresses import Address, read_field
from tracker.mail.mime.charset import codec_of, read
from tracker.mail.mime.encodings import octets_in
from tracker.mail.mime.fields import Field
from tracker.mail.mime.parts import Part, leaves, read_parts
from tracker.mail.mime.text import decoded, storable

_MSG_ID = re.compile(r"<[^<>\s]{1,900}>")


def values(header_fields: list[Field], name: str) -> list[str]:
    """The values of every field of that name."""
    return [field.value for field in header_fields if field.name == name]


def msg_ids(header_fields: list[Field], name: str) -> list[str]:
    """The msg-ids of a field such as References."""
    return [storable(id_) for value in values(header_fields, name) for id_ in _MSG_ID.findall(value)]


def mailboxes(header_fields: list[Field], name: str) -> list[Address]:
    """The mailboxes of an address field; those that cannot be used are left out."""
    return [mailbox for value in values(header_fields, name) for mailbox in read_field(storable(value)).mailboxes]


def plain_text(raw: bytes, root: Part) -> str | None:
    """The first text/plain part that is shown as the body, decoded; None when there is none."""
    texts = (part for _, part in leaves(root) if part.content_type == "text/plain" and not part.is_attachment)
    part = next(texts, None)
    if part is None:
        return None
    body = octets_in(raw, part)
    codec = codec_of(part.parameters.get("charset", ""), body)
    text = read(body, codec) if codec is not None else None
    return storable(text[0] if text else body.decode("utf-8", "replace"))


def has_files(root: Part) -> bool:
    """Whether something is attached beside the pictures of the text."""
    return any(part.is_attachment and not part.is_inline_picture for _, part in leaves(root))


def files(raw: bytes) -> Iterator[tuple[str, str, bytes]]:
    """File name, content type and content of everything attached, pictures of the text included."""
    attached = [part for _, part in leaves(read_parts(raw)) if part.is_attachment]
    for number, part in enumerate(attached, 1):
        yield decoded(part.file_name) or f"file-{number}", part.content_type, octets_in(raw, part)
