"""The papers of data protection, written from the live settings: drafts for whoever answers for the workspace, no legal advice.

Each is a template, plain text with headings (Markdown).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

from sqlmodel import Session

from tracker.consent.notice import VERSION, Controller, controller, notice
from tracker.consent.preferences import DEFAULTS as PREFERENCES
from tracker.consent.preferences import preference, workspace_pack
from tracker.consent.rules import Pack, looser_points, rules_for
from tracker.consent.rules.country_rules import Point
from tracker.locale import LANGUAGES, use_locale
from tracker.locale.templates import write
from tracker.privacy.periods import WORDS, periods
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

NAMES = ("article-30", "impact-assessment", "notice-to-recipients", "notice-to-staff", "deadlines", "self-check")
CODES = ("FR", "IT", "DE", "UK", "EEA")


@dataclass(frozen=True)
class InstallationFacts:
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


def facts_of(session: Session, context: AppContext) -> InstallationFacts:
    return InstallationFacts(
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
    by_country = {code: rules_for(code, on) for code in CODES}
    return {code: looser_points(here, rules) for code, rules in by_country.items() if rules is not None}


def compliance_archive(session: Session, context: AppContext) -> bytes:
    """All papers in all our languages, as a ZIP file."""
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as packed:
        for language in LANGUAGES:
            for name, text in compliance_documents(session, context, language).items():
                packed.writestr(f"{language}/{name}.md", text)
    return file.getvalue()


def compliance_documents(session: Session, context: AppContext, language: str) -> dict[str, str]:
    """Name and text of every paper in that language."""
    facts = facts_of(session, context)
    shown = {"notice": notice(session, context, language).text, "version": VERSION, "kinds": WORDS}
    check = self_check(session, facts.made)
    with use_locale(language):
        return {
            name: write(f"compliance/{name}.md", facts=facts, check=check, **shown).strip() + "\n" for name in NAMES
        }
