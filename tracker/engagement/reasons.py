"""Every reason a verdict can give, as an English sentence to translate."""

from collections.abc import Callable

Translate = Callable[[str], str]


def as_written(text: str) -> str:
    return text


def N_(text: str) -> str:
    """Marks a sentence for translation without translating it here."""
    return text


SENTENCES: dict[str, str] = {
    "nothing_fits": N_("Nothing known fits this request"),
}
