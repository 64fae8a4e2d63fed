"""The source of a letter in a sentence, for people."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from tracker.models import LetterSource, SiteLease, Visit
from tracker.runtime.localized_text import N_, LocalizedText

METHOD_LABELS: Mapping[str, str] = {
    "code": N_("the visitor’s own address"),
    "static": N_("the address of a source"),
    "external": N_("an address outside the site"),
    "history": N_("earlier letters of the sender"),
    "unknown_code": N_("a code nobody was shown"),
    "none": N_("nothing"),
}
"""By what a source was found."""
FLAG_LABELS: Mapping[str, str] = {
    "late": N_("late"),
    "disputed": N_("two visitors had it"),
    "leaked": N_("got about"),
    "many_codes": N_("the sender tries many"),
    "robot": N_("shown to a program"),
}
MomentText = Callable[[datetime], str]
"""How a reader writes a day."""


def sentence_of(session: Session, row: LetterSource, moment_text: MomentText) -> LocalizedText:
    """“The address with the code x7k3qd2mc was shown on 3 March to a visitor from Yandex Direct; four days before the letter.”"""
    name, address = (row.source or {}).get("name") or "", row.address
    if row.method == "code":
        return _of_code(session, row, name, moment_text)
    if row.method == "static":
        text = N_("It was written to %(address)s, which the site shows to visitors from %(source)s.")
        return LocalizedText(text, address=address, source=name)
    if row.method == "external":
        text = N_("It was written to %(address)s, which stands for %(source)s outside the site.")
        return LocalizedText(text, address=address, source=name)
    if row.method == "history":
        text = N_("It was written to the usual address; the sender’s earlier letters came from %(source)s.")
        return LocalizedText(text, source=name)
    if row.method == "unknown_code":
        text = N_("The code %(code)s was never shown to anybody, so the source is not determined.")
        return LocalizedText(text, code=row.code)
    return LocalizedText("It was written to the usual address, and nothing is known of where the sender found it.")


def _of_code(session: Session, row: LetterSource, name: str, moment_text: MomentText) -> LocalizedText:
    if "many_codes" in row.flags:
        text = N_("%(sender)s writes to the addresses of many visitors, so the source is not determined.")
        return LocalizedText(text, sender=row.sender)
    if "leaked" in row.flags:
        text = N_("The address %(address)s has got about: many people write to it, so the source is not determined.")
        return LocalizedText(text, address=row.address)
    if "robot" in row.flags:
        text = N_("The address %(address)s was shown to a program, so the source is not determined.")
        return LocalizedText(text, address=row.address)
    visit = session.get(Visit, row.visit_id) if row.visit_id else None
    lease = _lease(session, row) if visit is not None else None
    if visit is None or lease is None:
        return LocalizedText("%(address)s was shown to a visitor from %(source)s.", address=row.address, source=name)
    campaign = visit.marks.get("utm_campaign", "") if visit.marks else ""
    where = LocalizedText("%(source)s, campaign %(campaign)s", source=name, campaign=campaign) if campaign else name
    day, age = moment_text(lease.shown_at), _age(row.received_at - lease.shown_at)
    if row.code:
        text = N_("The address with the code %(code)s was shown on %(day)s to a visitor from %(source)s, %(age)s.")
        return LocalizedText(text, code=row.code, day=day, source=where, age=age)
    text = N_("%(address)s was shown on %(day)s to a visitor from %(source)s, %(age)s.")
    return LocalizedText(text, address=row.address, day=day, source=where, age=age)


def _lease(session: Session, row: LetterSource) -> SiteLease | None:
    query = select(SiteLease).where(SiteLease.address == row.address, SiteLease.visit_id == row.visit_id)
    return session.exec(query.order_by(col(SiteLease.shown_at).desc())).first()


def _age(span: timedelta) -> LocalizedText:
    if span < timedelta(minutes=1):
        return LocalizedText("just before the letter")
    if span < timedelta(hours=2):
        return LocalizedText("%(n)s minutes before the letter", n=max(1, span // timedelta(minutes=1)))
    if span < timedelta(days=2):
        return LocalizedText("%(n)s hours before the letter", n=span // timedelta(hours=1))
    return LocalizedText("%(n)s days before the letter", n=span // timedelta(days=1))
