"""`/me`."""

from tests.web.api.conftest import Caller, World


def test_who_i_am(alice: Caller) -> None:
    me = alice.get("/me").json()
    assert me["email"] == "alice@example.com"
    assert me["role"] == "admin"
    assert me["track"] == {"opens": True, "links": True}
    assert (me["locale"], me["timezone"], me["status"]) == ("en", "UTC", "free")
    assert "password_hash" not in me


def test_what_is_given_is_changed_and_nothing_else(world: World, bob: Caller) -> None:
    before = bob.get("/me").json()
    change = {
        "name": " Robert ",
        "locale": "ru",
        "timezone": "Europe/Moscow",
        "status": "lunch",
        "track": {"links": False},
    }
    answer = bob.call("PATCH", "/me", change)
    after = {
        **before,
        "name": "Robert",
        "locale": "ru",
        "timezone": "Europe/Moscow",
        "status": "lunch",
        "track": {"opens": True, "links": False},
    }
    assert answer.json() == after
    assert bob.get("/me").json() == after
    assert world.alice.get("/me").json()["name"] == "Alice"


def test_every_status(bob: Caller) -> None:
    for status in ("free", "busy", "lunch", "break"):
        assert bob.call("PATCH", "/me", {"status": status}).json()["status"] == status


def test_role_and_address_are_not_mine_to_change(bob: Caller) -> None:
    for name, value in (("role", "admin"), ("email", "boss@example.com"), ("active", False), ("id", "x")):
        response = bob.call("PATCH", "/me", {name: value})
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == name
    assert bob.get("/me").json()["role"] == "member"
