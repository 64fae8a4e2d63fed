"""The papers of data protection, written from the live settings: drafts for whoever answers for the workspace, no legal advice.

Each is plain text with headings (Markdown), in the language being spoken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from sqlmodel import Session

from tracker.consent.notice import VERSION, Controller, controller, notice
from tracker.consent.preferences import DEFAULTS as PREFERENCES
from tracker.consent.preferences import preference, workspace_pack
from tracker.consent.rules import Pack, looser_points, rules_for
from tracker.consent.rules.country_rules import Point
from tracker.locale import LANGUAGES, N_, speaking
from tracker.locale import gettext as _
from tracker.privacy.deadlines import DEADLINES
from tracker.privacy.periods import WORDS, periods
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

CODES = ("FR", "IT", "DE", "UK", "EEA")


@dataclass(frozen=True)
class Facts:
    """What the papers say of this installation."""

    who: Controller
    policy: Pack
    reason: str
    days: Mapping[str, int]
    evidence_days: int
    tracking_url: str
    footer: bool
    erasure_text: str
    made: date


def facts_of(session: Session, context: AppContext) -> Facts:
    return Facts(
        who=controller(session, context),
        policy=workspace_pack(session),
        reason=str(preference(session, "policy_reason")),
        days=periods(session),
        evidence_days=context.settings.evidence_days,
        tracking_url=context.settings.tracking_url,
        footer=bool(preference(session, "footer")),
        erasure_text=str(preference(session, "erasure_text")),
        made=now().date(),
    )


def self_check(session: Session, on: date) -> Mapping[str, Sequence[Point]]:
    """By country, where this workspace is looser than its rules ask."""
    here = {name: preference(session, name) for name in PREFERENCES}
    found = {code: rules_for(code, on) for code in CODES}
    return {code: looser_points(here, rules) for code, rules in found.items() if rules is not None}


def kit(session: Session, context: AppContext) -> bytes:
    """All papers in all our languages, as a ZIP file."""
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as packed:
        for language in LANGUAGES:
            for name, text in papers(session, context, language).items():
                packed.writestr(f"{language}/{name}.md", text)
    return file.getvalue()


def papers(session: Session, context: AppContext, language: str) -> dict[str, str]:
    """Name and text of every paper in that language."""
    facts = facts_of(session, context)
    shown = notice(session, context, language)
    with speaking(language):
        return {
            "article-30": article_30(facts),
            "impact-assessment": impact_assessment(facts),
            "notice-to-recipients": notice_to_recipients(facts, shown.text),
            "notice-to-staff": notice_to_staff(facts),
            "deadlines": deadline_table(),
            "self-check": self_check_paper(self_check(session, facts.made)),
        }


def article_30(facts: Facts) -> str:
    """The entry in the record of processing activities."""
    return _paper(
        _("Record of processing activities (Art. 30 GDPR): measuring of one-to-one mail"),
        facts,
        {
            _("Controller"): _whole(facts.who),
            _("Purposes"): _(
                "To see whether messages of our sales people are opened and which links are followed, to "
                "answer in time. No profiling, no automated decision, no sale."
            ),
            _("Persons"): _("Recipients of our one-to-one mail; our own sales people."),
            _("Data"): _(
                "Address, name, consent with its evidence; per tracked copy: time of opens and clicks, "
                "link, verdict (person or machine) with reasons, kind of mail program. The network address "
                "and the full agent of a hit, encrypted, for %(days)s days."
            )
            % {"days": facts.evidence_days},
            _("Legal basis"): _basis(facts),
            _("Recipients of the data"): _(
                "The person who wrote the message, nobody else; no third country. The software runs on our own machine."
            ),
            _("Erasure"): _periods(facts),
            _("Security"): _(
                "Signed tokens without addresses, secrets and evidence encrypted (AES-256-GCM), TLS, per-"
                "person access, a log of who looked at whose data, a ledger of consent that is only added "
                "to and verifies."
            ),
        },
    )


def impact_assessment(facts: Facts) -> str:
    """A draft under Art. 35: the facts are filled in, the judgement is the controller's."""
    return _paper(
        _("Data protection impact assessment (Art. 35 GDPR), draft"),
        facts,
        {
            _("Controller"): _whole(facts.who),
            _("What is done"): _(
                "An invisible image and redirected links in copies to people who agreed; hits are judged as"
                " person or machine and shown to the sender. Measuring host: %(url)s."
            )
            % {"url": facts.tracking_url},
            _("Necessity and proportion"): _(
                "Only copies to those who agreed are changed; everybody else gets the message as written. "
                "Two purposes, each with its own consent. Replies and bounces are ordinary handling of mail"
                " and need none."
            ),
            _("Risks to people"): "\n".join(
                f"* {one}"
                for one in (
                    _(
                        "Somebody feels watched in their mail. Against it: opt-in, a line under each tracked "
                        "message, withdrawal by one click that reaches mail already delivered."
                    ),
                    _(
                        "A machine is taken for the person, and wrong conclusions are drawn. Against it: verdicts "
                        "with reasons, honest words, correction by the person."
                    ),
                    _(
                        "Data leaks or is used for control of staff. Against it: nobody sees a colleague’s data, "
                        "short periods, encryption, the log of views."
                    ),
                    _("A link is forwarded. Against it: it shows its own copy alone, and takes only a no."),
                )
            ),
            _("Rights"): _(
                "Access, export, erasure with receipt, restriction, correction, objection and withdrawal by"
                " the person’s own page, without login."
            ),
            _("Periods"): _periods(facts),
            _("What is left to judge"): _(
                "Is the remaining risk acceptable? Has the data protection officer been heard? Must the "
                "works council agree? (to be filled in)"
            ),
        },
    )


def notice_to_recipients(facts: Facts, shown: str) -> str:
    return _paper(
        _("Notice to recipients (Art. 13 GDPR)"),
        facts,
        {
            _("What we ask, in the words of the page (version %(version)s)") % {"version": VERSION}: shown,
            _("Responsible"): _whole(facts.who),
            _("Legal basis"): _basis(facts),
            _("How long"): _periods(facts),
            _("Your rights"): _(
                "Access, correction, erasure, restriction, portability, objection, and withdrawal at any "
                "time without harm to what was lawful before; by your own page or by writing to us. You may"
                " complain to a supervisory authority."
            ),
        },
    )


def notice_to_staff(facts: Facts) -> str:
    return _paper(
        _("Notice to our own people who send mail"),
        facts,
        {
            _("What is noted of you"): _(
                "Sign-ins; that a hit came from your own browser or network (a digest, 24 hours), so that "
                "it does not count; whose tracking data you looked at, by the day, for %(days)s days."
            )
            % {"days": facts.days["views_days"]},
            _("What for"): _(
                "So that your own reading never counts as a recipient’s, and so that whoever is measured "
                "can learn who saw it."
            ),
            _("What it is not for"): _(
                "Not for judging your work: nobody sees another person’s mail or figures, administrators included."
            ),
            _("Responsible"): _whole(facts.who),
        },
    )


def deadline_table() -> str:
    head = [_("Where"), _("When"), _("What"), _("Source")]
    rows = [[one.where, one.when, _(one.what), one.source] for one in DEADLINES]
    lines = [f"| {' | '.join(row)} |" for row in [head, ["---"] * 4, *rows]]
    title, warning = _("Deadlines and dates"), _("From summaries; check the originals before you rely on them.")
    return f"# {title}\n\n" + "\n".join(lines) + f"\n\n{warning}\n"


def self_check_paper(found: Mapping[str, Sequence[Point]]) -> str:
    title, nothing = (
        _("Where our settings are looser than the rules"),
        _("Nothing here is looser than these rules ask."),
    )
    parts = [f"## {code}\n\n" + ("\n".join(map(_point, points)) or nothing) for code, points in found.items()]
    return f"# {title}\n\n" + "\n\n".join(parts) + "\n"


def _point(point: Point) -> str:
    facts = {"what": _(point.sentence), "setting": point.setting, "here": str(point.here), "asked": str(point.asked)}
    return _("* %(what)s (%(setting)s is %(here)s; asked is %(asked)s)") % facts


_BASES: Mapping[Pack, str] = {
    Pack.STRICT: N_(
        "Consent (Art. 6(1)(a) GDPR with Art. 5(3) of Directive 2002/58/EC and its national law), "
        "proven in the ledger; unknown means not measured."
    ),
    Pack.NOTICE: N_(
        "In strict countries consent (Art. 6(1)(a) GDPR, Art. 5(3) ePrivacy). Elsewhere legitimate "
        "interest with notice and objection (Art. 6(1)(f)); reason given: %(reason)s"
    ),
    Pack.OFF: N_("None is needed: measuring is switched off."),
}


def _basis(facts: Facts) -> str:
    text = _(_BASES[facts.policy])
    return text % {"reason": facts.reason} if facts.policy == Pack.NOTICE else text


def _periods(facts: Facts) -> str:
    lines = [
        _("* %(what)s: %(days)s days") % {"what": _(words), "days": facts.days[name]} for name, words in WORDS.items()
    ]
    goes = _("* On erasure: mail to that person alone goes")
    stays = _("* On erasure: our messages stay, without address and name")
    return "\n".join([*lines, goes if facts.erasure_text == "delete" else stays])


def _whole(who: Controller) -> str:
    return "\n".join(part for part in (who.name, who.address, who.contact) if part)


def _paper(title: str, facts: Facts, sections: Mapping[str, Any]) -> str:
    made = _("Draft of %(day)s, written from the settings in force. No legal advice.") % {"day": facts.made.isoformat()}
    return f"# {title}\n\n{made}\n\n" + "\n\n".join(f"## {head}\n\n{text}" for head, text in sections.items()) + "\n"
