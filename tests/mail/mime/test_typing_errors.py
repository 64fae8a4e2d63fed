"""Which domains are probably misspelt."""

import pytest

from tracker.mail.mail_providers import meant_domain


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("gmial.com", "gmail.com"),
        ("gmal.com", "gmail.com"),
        ("gmaill.com", "gmail.com"),
        ("GMAIL.con", "gmail.com"),
        ("gnail.com", "gmail.com"),
        ("gmail.co", "gmail.com"),
        ("gmial.cmo", "gmail.com"),
        ("hotmial.com", "hotmail.com"),
        ("outlok.com", "outlook.com"),
        ("yaho.com", "yahoo.com"),
        ("yandx.ru", "yandex.ru"),
        ("yandex.ry", "yandex.ru"),
        ("mail.ry", "mail.ru"),
        ("iclould.com", "icloud.com"),
        ("t-onlin.de", "t-online.de"),
    ],
)
def test_one_slip_away_from_a_well_known_domain(typed: str, meant: str) -> None:
    assert meant_domain(typed) == meant


@pytest.mark.parametrize(
    "domain",
    [
        "gmail.com",
        "mail.com",
        "email.com",
        "mail.ru",
        "mail.ua",
        "ymail.com",
        "yandex.kz",
        "hotmail.de",
        "hotmail.co.uk",
        "cloud.com",
        "me.com",
        "ge.com",
        "example.com",
        "gmailx.example",
        "aol.com",
        "gmx.at",
        "live.de",
        "shop.example",
        "company.co",
        "firma.ru",
        "localhost",
    ],
)
def test_what_may_well_be_right_is_left_alone(domain: str) -> None:
    assert meant_domain(domain) == ""
