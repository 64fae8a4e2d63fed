"""When two connections are one mailbox."""

import pytest

from tracker.mail.canonical import canonical

SAME = [
    ("Info@Site.ru", "info@site.ru"),
    ("ivan@ya.ru", "ivan@yandex.ru"),
    ("ivan-petrov@yandex.com", "ivan.petrov@ya.ru"),
    ("i.van@gmail.com", "ivan@googlemail.com"),
    ("ivan+shop@gmail.com", "ivan@gmail.com"),
    (" info@пример.рф ", "info@xn--e1afmkfd.xn--p1ai"),
    ("info+7@site.ru", "info@site.ru"),
]
DIFFERENT = [("i.van@site.ru", "ivan@site.ru"), ("ivan@yandex.ru", "ivan@gmail.com"), ("a-b@site.ru", "a.b@site.ru")]


@pytest.mark.parametrize(("first", "other"), SAME)
def test_one_mailbox(first: str, other: str) -> None:
    """C1, C3."""
    assert canonical(first, "imap.one.example") == canonical(other, "imap.other.example")


@pytest.mark.parametrize(("first", "other"), DIFFERENT)
def test_two_mailboxes(first: str, other: str) -> None:
    assert canonical(first, "h") != canonical(other, "h")


def test_a_login_that_is_no_address_means_something_on_its_host_only() -> None:
    assert canonical("Ivan", "mail.a.example") == canonical("ivan", "MAIL.A.example")
    assert canonical("ivan", "mail.a.example") != canonical("ivan", "mail.b.example")
