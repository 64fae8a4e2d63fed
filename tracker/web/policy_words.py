"""The consent policies of a workspace in plain words."""

from tracker.consent import Ceiling, CeilingError, Pack
from tracker.locale import gettext as _
from tracker.locale import said
from tracker.web.forms import Wrong

LEAST_REASON = 10


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


def check_policy(policy: str, reason: str, wrong: Wrong, ceiling: Ceiling) -> None:
    if policy not in set(Pack):
        wrong["policy"] = _("Choose one of the three policies.")
    elif policy == Pack.NOTICE and len(reason) < LEAST_REASON:
        wrong["reason"] = _(
            "The reason is missing. Write in ten characters or more on what ground you measure people who were not asked."
        )
    else:
        try:
            ceiling.check_policy(Pack(policy))
        except CeilingError as error:
            wrong["policy"] = said(error)
