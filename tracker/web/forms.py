"""Reading forms: typed values out, sentences about what does not fit."""

from functools import cache
from zoneinfo import available_timezones

from starlette.datastructures import FormData, UploadFile

from tracker.locale import LANGUAGES
from tracker.locale import gettext as _

LEAST_PASSWORD = 10
Wrong = dict[str, str]
"""What does not fit, by the name of the field."""


def text(form: FormData, name: str, limit: int = 1000) -> str:
    """A text field without surrounding space; empty when it is not there."""
    value = form.get(name, "")
    return "" if isinstance(value, UploadFile) else value.strip()[:limit]


def secret(form: FormData, name: str) -> str:
    """A password as typed, spaces and all."""
    value = form.get(name, "")
    return "" if isinstance(value, UploadFile) else value[:1000]


def ticked(form: FormData, name: str) -> bool:
    return form.get(name) == "on"


def check_name(name: str, wrong: Wrong) -> None:
    if not name:
        wrong["name"] = _("The name is missing. Recipients and colleagues see it.")
    elif len(name) > 200:
        wrong["name"] = _("The name is too long. Use 200 characters or fewer.")


def check_password(password: str, wrong: Wrong, field: str = "password") -> None:
    if len(password) < LEAST_PASSWORD:
        wrong[field] = _(
            "The password is too short. Use %(least)d characters or more; a short sentence is easy to remember."
        ) % {"least": LEAST_PASSWORD}


def check_locale(locale: str, wrong: Wrong) -> None:
    if locale not in LANGUAGES:
        wrong["locale"] = _("This language is not there. Choose one of the list.")


def check_zone(zone: str, wrong: Wrong) -> None:
    if zone not in _all_zones():
        wrong["timezone"] = _("This time zone is not known. Choose one of the list, such as Europe/Berlin.")


@cache
def _all_zones() -> frozenset[str]:
    """Reading the list takes milliseconds, and it does not change while we run."""
    return frozenset(available_timezones())


@cache
def zones() -> list[tuple[str, str]]:
    """The time zones that people know (those of a region and a city, and UTC), each with how it reads."""
    regions = (
        "Africa/",
        "America/",
        "Antarctica/",
        "Arctic/",
        "Asia/",
        "Atlantic/",
        "Australia/",
        "Europe/",
        "Indian/",
        "Pacific/",
    )
    names = sorted(name for name in _all_zones() if name.startswith(regions))
    return [(name, name.replace("_", " ")) for name in ("UTC", *names)]
