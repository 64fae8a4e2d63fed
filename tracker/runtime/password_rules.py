"""Which passwords are taken: long enough, and none of those that are tried first. Whatever is not taken is said, nothing is cut."""

import re
from collections.abc import Iterable, Iterator

from tracker.runtime.localized_text import LocalizedText

MIN_PASSWORD, MAX_PASSWORD = 10, 1000
_FEWEST_GUESSES = 10**6
"""What zxcvbn calls safe where tries are throttled; ours are 2,700 a day."""
_ESTIMATED = 72
"""Characters that zxcvbn looks at; of a longer one its beginning and its end."""
_LEAST_BESIDE_OWN = 4
_KEYS = str.maketrans("йцукенгшщзхъфывапролджэячсмитьбюё", "qwertyuiop[]asdfghjkl;'zxcvbnm,.`")
"""Letters that lie on the same keys of a Russian keyboard."""


def wrong_password(password: str, own: Iterable[str] = ()) -> LocalizedText | None:
    """What is wrong with a new password of a person whose address and name are ``own``; None when nothing is."""
    if len(password) < MIN_PASSWORD:
        return LocalizedText(
            "The password is too short. Use %(least)d characters or more; a short sentence is easy to remember.",
            least=MIN_PASSWORD,
        )
    if len(password) > MAX_PASSWORD:
        return LocalizedText("The password is too long. Use %(most)d characters or fewer.", most=MAX_PASSWORD)
    words = sorted({word for text in own for word in _own_words(text)}, key=len, reverse=True)
    if _is_own(password, words) or any(_is_tried_first(variant, words) for variant in _variants(password)):
        return LocalizedText(
            "This password is one of the first that are tried: common words, a row of keys, a repetition, or your own "
            "address or name. Choose another one; a short sentence is easy to remember."
        )
    return None


def _own_words(text: str) -> Iterator[str]:
    yield text.casefold()
    yield from (word for word in re.split(r"[^\w]+|_", text.casefold()) if len(word) > 2)


def _is_own(password: str, words: Iterable[str]) -> bool:
    """Whether next to nothing is left without one's own address and name."""
    rest = password.casefold()
    for word in words:
        rest = rest.replace(word, "")
    return rest != password.casefold() and len(re.sub(r"[\W_]", "", rest)) < _LEAST_BESIDE_OWN


def _variants(password: str) -> set[str]:
    """The password, without what stands between its words, and as it is typed on a keyboard of Latin letters."""
    return {password, re.sub(r"[\W_]", "", password), password.casefold().translate(_KEYS)}


def _is_tried_first(password: str, words: list[str]) -> bool:
    return max(_guesses(part, words) for part in {password[:_ESTIMATED], password[-_ESTIMATED:]}) < _FEWEST_GUESSES


def _guesses(password: str, words: list[str]) -> float:
    from zxcvbn import zxcvbn  # its lists take a fifth of a second to load, and passwords are seldom set

    return float(zxcvbn(password, user_inputs=words)["guesses"]) if password else 0.0
