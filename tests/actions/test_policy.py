"""The consent policy is chosen alike by page, set-up and command line."""

import pytest

from tests.actions.conftest import Person, Workspace, refusal
from tracker.consent.preferences import preference, workspace_pack
from tracker.consent.rules import Pack
from tracker.models import PolicyChange, User
from tracker.web.workspace.set_up_page import make_setup_code

REASON = "existing customers, § 7 (3)"


def in_force(workspace: Workspace) -> tuple[Pack, str]:
    with workspace.context.database.reading() as session:
        return workspace_pack(session), preference(session, "policy_reason")


def set_up(workspace: Workspace, policy: str, reason: str) -> tuple[str, list[str]] | int:
    form = {"name": "Ann", "email": "ann@example.com", "locale": "en", "timezone": "UTC"}
    code = make_setup_code(workspace.context)
    values = {**form, "code": code, "password": "long enough for it", "policy": policy, "reason": reason}
    answer = workspace.visitor().post("/set-up", data=values)
    return answer.status_code if answer.status_code == 303 else refusal(answer)


@pytest.mark.parametrize("reason", ["", "too short", " " * 40])
def test_measuring_people_who_were_not_asked_needs_a_reason(workspace: Workspace, reason: str) -> None:
    assert set_up(workspace, "notice", reason) == ("invalid", ["reason"])
    assert workspace.rows(User) == []
    alice = workspace.person("Alice", role="admin")
    page = alice.browser.post("/settings/policy", data={"policy": "notice", "reason": reason})
    assert refusal(page) == ("invalid", ["reason"])
    done = workspace.inkling.in_process("policy", "set", "notice", "--reason", reason)
    assert (done.code, done.sentence.startswith("The reason is missing.")) == (1, True)
    assert in_force(workspace) == (Pack.STRICT, "")
    assert workspace.rows(PolicyChange) == []


def test_a_policy_is_stored_with_its_reason_and_its_history(workspace: Workspace, alice: Person) -> None:
    alice.browser.post("/settings/policy", data={"policy": "notice", "reason": REASON})
    assert in_force(workspace) == (Pack.NOTICE, REASON)
    assert workspace.inkling.in_process("policy", "set", "off").code == 0
    assert in_force(workspace) == (Pack.OFF, "")
    assert workspace.inkling.in_process("policy", "set", "notice", "--reason", REASON).code == 0
    history = [(change.before, change.after, change.changed_by) for change in workspace.rows(PolicyChange)]
    assert history == [("strict", "notice", alice.id), ("notice", "off", None), ("off", "notice", None)]


def test_the_first_person_chooses_the_policy(workspace: Workspace) -> None:
    assert set_up(workspace, "notice", REASON) == 303
    assert in_force(workspace) == (Pack.NOTICE, REASON)
