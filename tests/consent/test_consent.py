"""Who may be measured: the policy, the moves between states, and what may still be kept later. No clock, no database."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tracker.consent.rules import (
    ASK_AGAIN_AFTER,
    CHANNELS,
    RULES,
    SILENT,
    STRICT_JURISDICTIONS,
    ConsentError,
    ConsentEvent,
    ConsentState,
    Facts,
    Pack,
    Proof,
    Terms,
    chain_digest,
    check_transition,
    checked_proof,
    decide,
    grade_of,
    may_keep,
)

GRANTED, UNKNOWN = ConsentState.GRANTED, ConsentState.UNKNOWN
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=400)

# name: facts → what is decided, and the rule that decided
POLICIES: dict[str, tuple[Facts, bool, str]] = {
    "agreed": (Facts(Pack.STRICT, GRANTED), True, "granted"),
    "agreed, wherever they live": (Facts(Pack.STRICT, GRANTED, jurisdiction="DE"), True, "granted"),
    "never asked": (Facts(Pack.STRICT, UNKNOWN), False, "unknown"),
    "asked, silent": (Facts(Pack.STRICT, ConsentState.ASKED), False, "asked"),
    "refused": (Facts(Pack.STRICT, ConsentState.REFUSED), False, "refused"),
    "withdrew": (Facts(Pack.STRICT, ConsentState.WITHDRAWN), False, "withdrawn"),
    "objected": (Facts(Pack.STRICT, ConsentState.OBJECTED), False, "objected"),
    "lapsed": (Facts(Pack.STRICT, ConsentState.LAPSED), False, "lapsed"),
    "blocked": (Facts(Pack.STRICT, ConsentState.BLOCKED), False, "blocked"),
    "strict knows no notice": (Facts(Pack.STRICT, UNKNOWN, jurisdiction="US"), False, "unknown"),
    "notice, a country where it will do": (Facts(Pack.NOTICE, UNKNOWN, jurisdiction="US"), True, "notice"),
    "notice, but the country is strict": (Facts(Pack.NOTICE, UNKNOWN, jurisdiction="DE"), False, "unknown"),
    "notice, but the country is in the EEA": (Facts(Pack.NOTICE, UNKNOWN, jurisdiction="ES"), False, "unknown"),
    "notice, the kingdom by its ISO code": (Facts(Pack.NOTICE, UNKNOWN, jurisdiction="GB"), False, "unknown"),
    "notice, the country in small letters": (Facts(Pack.NOTICE, UNKNOWN, jurisdiction="fr"), False, "unknown"),
    "notice, country unknown": (Facts(Pack.NOTICE, UNKNOWN), False, "unknown"),
    "notice, country blank": (Facts(Pack.NOTICE, UNKNOWN, jurisdiction=" "), False, "unknown"),
    "notice, agreed anyway": (Facts(Pack.NOTICE, GRANTED, jurisdiction="DE"), True, "granted"),
    "notice, asked": (Facts(Pack.NOTICE, ConsentState.ASKED, jurisdiction="US"), False, "asked"),
    "notice, lapsed": (Facts(Pack.NOTICE, ConsentState.LAPSED, jurisdiction="US"), False, "lapsed"),
    "notice, refused": (Facts(Pack.NOTICE, ConsentState.REFUSED, jurisdiction="US"), False, "refused"),
    "notice, objected": (Facts(Pack.NOTICE, ConsentState.OBJECTED, jurisdiction="US"), False, "objected"),
    "paused, agreed": (Facts(Pack.STRICT, GRANTED, paused=True), False, "paused"),
    "paused, under a notice": (Facts(Pack.NOTICE, UNKNOWN, jurisdiction="US", paused=True), False, "paused"),
    "paused, said no already": (Facts(Pack.STRICT, ConsentState.WITHDRAWN, paused=True), False, "withdrawn"),
    "off beats a consent": (Facts(Pack.OFF, GRANTED), False, "policy_off"),
    "off beats everything": (
        Facts(Pack.OFF, ConsentState.BLOCKED, never_track=True, wanted=False, measurable=False),
        False,
        "policy_off",
    ),
    "never-track beats a consent": (Facts(Pack.STRICT, GRANTED, never_track=True), False, "never_track"),
    "never-track beats a notice": (
        Facts(Pack.NOTICE, UNKNOWN, never_track=True, jurisdiction="US"),
        False,
        "never_track",
    ),
    "never-track beats what the person said": (
        Facts(Pack.STRICT, ConsentState.BLOCKED, never_track=True),
        False,
        "never_track",
    ),
    "the operator before everybody": (Facts(Pack.OFF, GRANTED, ceiling=False, never_track=True), False, "ceiling"),
    "the policy before the role": (Facts(Pack.OFF, GRANTED, role=False), False, "policy_off"),
    "the role before the account": (Facts(Pack.STRICT, GRANTED, role=False, account=False), False, "role"),
    "the account before the person": (
        Facts(Pack.STRICT, ConsentState.REFUSED, account=False, never_track=True),
        False,
        "account",
    ),
    "noted by one of us, which does not count here": (Facts(Pack.STRICT, GRANTED, grade="D"), False, "weak_evidence"),
    "noted by one of us, which counts": (Facts(Pack.STRICT, GRANTED, grade="D", accepted="ABCD"), True, "granted"),
    "imported without origin never counts": (
        Facts(Pack.STRICT, GRANTED, grade="F", accepted="ABCDE"),
        False,
        "weak_evidence",
    ),
    "notice, but the copy would not carry it": (
        Facts(Pack.NOTICE, UNKNOWN, jurisdiction="US", notice_given=False),
        False,
        "no_notice",
    ),
    "agreed, and needs no notice": (
        Facts(Pack.NOTICE, GRANTED, jurisdiction="US", notice_given=False),
        True,
        "granted",
    ),
    "oneself": (Facts(Pack.STRICT, GRANTED, is_sender=True), False, "own_address"),
    "a no beats the switch": (Facts(Pack.STRICT, ConsentState.REFUSED, wanted=False), False, "refused"),
    "switched off": (Facts(Pack.STRICT, GRANTED, wanted=False), False, "switched_off"),
    "switched on is no consent": (Facts(Pack.STRICT, UNKNOWN, wanted=True), False, "unknown"),
    "text only": (Facts(Pack.STRICT, GRANTED, measurable=False), False, "text_only"),
    "the tenth recipient": (Facts(Pack.STRICT, GRANTED, recipients=10), True, "granted"),
    "the eleventh": (Facts(Pack.STRICT, GRANTED, recipients=11), False, "group_too_large"),
    "a limit of one": (Facts(Pack.STRICT, GRANTED, recipients=2, recipient_limit=1), False, "group_too_large"),
    "host away": (Facts(Pack.STRICT, GRANTED, host_healthy=False), False, "host_unhealthy"),
    "what the person said comes before what is possible": (
        Facts(Pack.STRICT, ConsentState.WITHDRAWN, measurable=False, recipients=50, host_healthy=False),
        False,
        "withdrawn",
    ),
}


@pytest.mark.parametrize("name", POLICIES)
def test_the_stricter_wins(name: str) -> None:
    facts, on, rule = POLICIES[name]
    decision = decide(facts)
    assert (decision.on, decision.rule) == (on, rule)
    assert decision.rule in RULES


@pytest.mark.parametrize("pack", Pack)
@pytest.mark.parametrize("state", ConsentState)
def test_nothing_ever_loosens(pack: Pack, state: ConsentState) -> None:
    """Every further reason against leaves what was off, off."""
    for jurisdiction in (None, "US", "IT"):
        plain = decide(Facts(pack, state, jurisdiction=jurisdiction))
        assert plain.on == (
            (state == GRANTED and pack != Pack.OFF)
            or (pack == Pack.NOTICE and state == UNKNOWN and jurisdiction == "US")
        )
        for against in (
            Facts(pack, state, jurisdiction=jurisdiction, never_track=True),
            Facts(pack, state, jurisdiction=jurisdiction, ceiling=False),
            Facts(pack, state, jurisdiction=jurisdiction, role=False),
            Facts(pack, state, jurisdiction=jurisdiction, account=False),
            Facts(pack, state, jurisdiction=jurisdiction, wanted=False),
            Facts(pack, state, jurisdiction=jurisdiction, measurable=False),
            Facts(pack, state, jurisdiction=jurisdiction, recipients=11),
            Facts(pack, state, jurisdiction=jurisdiction, host_healthy=False),
            Facts(pack, state, jurisdiction=jurisdiction, is_sender=True),
            Facts(Pack.OFF, state, jurisdiction=jurisdiction),
        ):
            assert not decide(against).on


def test_the_strict_countries() -> None:
    assert {"FR", "IT", "DE", "UK", "EEA"} <= STRICT_JURISDICTIONS
    assert len(STRICT_JURISDICTIONS) == 30 + len({"UK", "GB", "EEA", "EU", "EL"})
    assert not STRICT_JURISDICTIONS & {"US", "RU", ""}


# state → where one may go from it
MOVES = {
    "unknown": "asked granted refused objected blocked",
    "asked": "granted refused objected lapsed blocked",
    "granted": "granted withdrawn objected lapsed blocked",
    "refused": "granted asked objected blocked",
    "withdrawn": "granted asked objected blocked",
    "objected": "granted blocked",
    "lapsed": "asked granted refused withdrawn objected blocked",
    "blocked": "",
}


@pytest.mark.parametrize("new", ConsentState)
@pytest.mark.parametrize("old", ConsentState)
def test_every_move(old: ConsentState, new: ConsentState) -> None:
    def move() -> None:
        check_transition(old, ConsentEvent(new, NOW, "subject", "web_form"), now=NOW, since=LONG_AGO, terms=Terms())

    if new.value in MOVES[old.value].split():
        move()
    else:
        with pytest.raises(ConsentError, match=f"from {old} to {new}") as refused:
            move()
        assert refused.value.field == "state"


def move(old: ConsentState, new: ConsentState, **facts: object) -> str:
    """The field that is refused, or a blank."""
    details = {"at": NOW, "channel": "web_form", "note": "", "since": LONG_AGO, "actor": "subject"} | facts
    terms = Terms(accepted="ABCDE")
    proof = checked_proof(Proof(note=details["note"]), at=NOW, now=NOW)  # type: ignore[arg-type]
    event = ConsentEvent(new, details["at"], details["actor"], details["channel"], proof)  # type: ignore[arg-type]
    try:
        check_transition(old, event, now=NOW, since=details["since"], terms=terms)  # type: ignore[arg-type]
    except ConsentError as error:
        return error.field
    return ""


def test_nobody_agrees_in_the_future() -> None:
    assert move(UNKNOWN, GRANTED, at=NOW + timedelta(microseconds=1)) == "at"
    assert move(UNKNOWN, GRANTED, at=NOW) == ""
    tokyo = NOW.astimezone(timezone(timedelta(hours=9)))
    assert move(UNKNOWN, GRANTED, at=tokyo) == ""
    assert move(UNKNOWN, GRANTED, at=tokyo + timedelta(seconds=1)) == "at"


def test_a_time_without_its_zone_is_no_time() -> None:
    assert move(UNKNOWN, GRANTED, at=NOW.replace(tzinfo=None)) == "at"


def test_the_channel_must_be_known() -> None:
    for channel in ("telepathy", "", "WEB_FORM", "web_form "):
        assert move(UNKNOWN, GRANTED, channel=channel) == "channel"


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_consent_that_was_told_needs_its_evidence(channel: str) -> None:
    acted = grade_of(channel, "subject", Proof()) == "B"  # the person did it, on our page
    assert move(UNKNOWN, GRANTED, channel=channel) == ("" if acted else "note")
    assert move(UNKNOWN, GRANTED, channel=channel, note=" \n") == ("" if acted else "note")
    assert move(UNKNOWN, GRANTED, channel=channel, note="“yes, please”, by telephone") == ""
    assert move(UNKNOWN, ConsentState.REFUSED, channel=channel) == "", "a no needs no evidence"


NOTED, REFERRED = Proof(note="in his words"), Proof(reference="contract 8")
CONFIRMED = Proof(double_opt_in=True, confirmed_at=NOW)

# channel, actor, proof → what the evidence is worth
WORTH: list[tuple[str, str, Proof, str]] = [
    ("consent_mail_page", "subject", Proof(), "B"),
    ("web_form", "subject", CONFIRMED, "A"),
    ("web_form", "api:3", Proof(), "B"),
    ("web_form", "user:3", Proof(), "F"),
    ("web_form", "user:3", NOTED, "B"),
    ("list_unsubscribe", "subject", Proof(), "B"),
    ("contract", "user:3", REFERRED, "B"),
    ("contract", "user:3", Proof(attachment_digest="a" * 64), "B"),
    ("contract", "user:3", NOTED, "C"),
    ("contract", "user:3", Proof(), "F"),
    ("reply_text", "user:3", NOTED, "C"),
    ("reply_text", "user:3", REFERRED, "D"),
    ("reply_text", "user:3", Proof(), "F"),
    ("phone_note", "user:3", NOTED, "D"),
    ("phone_note", "subject", CONFIRMED, "F"),
    ("dsr", "user:3", NOTED, "D"),
    ("import", "user:3", NOTED, "E"),
    ("web_form", "import:3", Proof(source_url="https://shop.example/"), "E"),
    ("web_form", "import:3", Proof(), "F"),
]


@pytest.mark.parametrize(("channel", "actor", "proof", "grade"), WORTH)
def test_what_evidence_is_worth(channel: str, actor: str, proof: Proof, grade: str) -> None:
    assert grade_of(channel, actor, proof) == grade


@pytest.mark.parametrize(("channel", "actor", "proof", "grade"), WORTH)
@pytest.mark.parametrize("least", "CDE")
def test_a_yes_needs_evidence_that_is_accepted(channel: str, actor: str, proof: Proof, grade: str, least: str) -> None:
    terms = Terms(accepted="ABCDE"[: "ABCDE".index(least) + 1])
    for state in (GRANTED, ConsentState.REFUSED):
        event = ConsentEvent(state, NOW, actor, channel, proof)
        if state == ConsentState.REFUSED or grade <= least:
            check_transition(UNKNOWN, event, now=NOW, since=None, terms=terms)
            continue
        with pytest.raises(ConsentError) as refused:
            check_transition(UNKNOWN, event, now=NOW, since=None, terms=terms)
        assert refused.value.field == ("note" if grade == "F" else "channel")


@pytest.mark.parametrize("no", [ConsentState.REFUSED, ConsentState.WITHDRAWN, ConsentState.OBJECTED])
def test_back_from_a_no_by_the_person_alone(no: ConsentState) -> None:
    for channel in ("phone_note", "import", "dsr"):
        assert move(no, GRANTED, channel=channel, note="agreed on the telephone", actor="user:1") == "channel"
    for channel in ("web_form", "consent_mail_page", "preference_page", "reply_text"):
        assert move(no, GRANTED, channel=channel, note="“yes, do”") == ""


@pytest.mark.parametrize("no", [ConsentState.REFUSED, ConsentState.WITHDRAWN])
def test_who_said_no_is_left_in_peace(no: ConsentState) -> None:
    assert move(no, ConsentState.ASKED, since=NOW - ASK_AGAIN_AFTER + timedelta(seconds=1)) == "at"
    assert move(no, ConsentState.ASKED, since=NOW - ASK_AGAIN_AFTER) == ""


def test_an_older_yes_cannot_undo_a_newer_no() -> None:
    yesterday = NOW - timedelta(days=1)
    for new in (GRANTED, ConsentState.ASKED):
        assert move(ConsentState.WITHDRAWN, new, at=yesterday - timedelta(seconds=1), since=yesterday) == "at"
    assert move(ConsentState.WITHDRAWN, GRANTED, at=yesterday, since=yesterday) == ""
    assert move(GRANTED, ConsentState.WITHDRAWN, at=yesterday, since=NOW) == "", "a no is taken whenever it was said"


def mild(pack: Pack, state: ConsentState, never_track: bool = False) -> Facts:
    """Somebody in a country where a notice will do."""
    return Facts(pack, state, jurisdiction="US", never_track=never_track)


# what may be kept now, of a copy that was tracked when sent
KEPT = {
    Pack.STRICT: {ConsentState.GRANTED},
    Pack.NOTICE: {ConsentState.GRANTED, ConsentState.UNKNOWN},
    Pack.OFF: set(),
}


@pytest.mark.parametrize("pack", Pack)
@pytest.mark.parametrize("state", ConsentState)
def test_what_may_be_kept(pack: Pack, state: ConsentState) -> None:
    assert may_keep(True, mild(pack, state)) == (state in KEPT[pack])
    assert not may_keep(True, mild(pack, state, never_track=True))
    assert not may_keep(False, mild(pack, state))


def test_asking_again_does_not_open_old_mail() -> None:
    """Withdrawn, then asked after the pause: the mail sent under the old consent stays silent."""
    assert move(ConsentState.WITHDRAWN, ConsentState.ASKED) == ""
    assert not may_keep(True, mild(Pack.STRICT, ConsentState.ASKED))
    assert not may_keep(True, mild(Pack.NOTICE, ConsentState.ASKED))


@pytest.mark.parametrize("pack", Pack)
@pytest.mark.parametrize("state", sorted(SILENT))
def test_silent_states_are_silent_everywhere(pack: Pack, state: ConsentState) -> None:
    assert not may_keep(True, mild(pack, state))
    assert not decide(Facts(pack, state, jurisdiction="US")).on


def test_what_may_not_be_sent_may_not_be_kept() -> None:
    for pack in Pack:
        for state in ConsentState:
            for never_track in (False, True):
                facts = Facts(pack, state, never_track=never_track, jurisdiction="US")
                assert may_keep(True, facts) == decide(facts).on


def test_digests_chain() -> None:
    facts = {"state": "granted", "note": "да", "number": 1}
    digest = chain_digest("0" * 64, facts)
    assert digest == chain_digest("0" * 64, dict(reversed(facts.items()))), "the order of writing does not matter"
    assert digest != chain_digest("1" + "0" * 63, facts)
    assert all(digest != chain_digest("0" * 64, facts | {name: "x"}) for name in facts)
    assert digest != chain_digest("0" * 64, facts | {"more": None})
