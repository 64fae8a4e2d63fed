"""The consent policies of a workspace in plain words."""

from tracker.consent.rules import Pack
from tracker.locale import _


def policy_options() -> list[tuple[str, str, str]]:
    """Value, name and meaning of each policy, the safest to choose first."""
    return [
        (
            Pack.STRICT.value,
            _("Strict: ask first"),
            _("Only people who agreed are measured, opens and clicks apart. Everybody else gets your mail untouched."),
        ),
        (
            Pack.NOTICE.value,
            _("Notice: tell and let object"),
            _(
                "People who were never asked are measured too, with a footer that says so and lets them object. Not for recipients "
                "in the EEA, the United Kingdom or of unknown place. Needs a written reason."
            ),
        ),
        (
            Pack.OFF.value,
            _("Off"),
            _("Nobody is measured. Mail is sent as written, and what was sent before is no longer recorded."),
        ),
    ]


def policy_name(pack: Pack) -> str:
    return next(name for value, name, _meaning in policy_options() if value == pack.value)
