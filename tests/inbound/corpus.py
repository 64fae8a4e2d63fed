"""The raw letters of tests/data/letters, by the name of what each teaches."""

from pathlib import Path

DATA = Path(__file__).parent.parent / "data" / "letters"


def raw(name: str) -> bytes:
    return (DATA / f"{name}.eml").read_bytes()


def simple(*fields: str, body: str = "Hello", sender: str = "Anna Berg <anna@client.example>") -> bytes:
    """A plain letter with these header fields besides From, To and Date."""
    head = [f"From: {sender}", "To: info@site.example", "Date: Thu, 26 Nov 2026 10:00:00 +0000", *fields]
    return "\r\n".join([*head, "", body]).encode("utf-8", "surrogateescape")
