"""Addresses: what people type, what headers hold, and when two spellings are one person."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracker.mail.addresses import (
    Address,
    AddressError,
    AddressField,
    domain_of,
    lookup_form,
    lookup_or_none,
    normalise,
    parse_list,
    read_field,
)

LOCAL_64 = "l" * 64
LONG_DOMAIN = ".".join(["d" * 60] * 3)  # 182 characters


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("anna@client.example", "anna@client.example"),
        ("  anna@client.example\n", "anna@client.example"),
        ("Anna.Weber@Client.EXAMPLE", "Anna.Weber@client.example"),
        ("anna+offers@client.example", "anna+offers@client.example"),
        ("!#$%&'*+/=?^_`{|}~-@client.example", "!#$%&'*+/=?^_`{|}~-@client.example"),
        ('"anna weber"@client.example', '"anna weber"@client.example'),
        ('"a@b"@client.example', '"a@b"@client.example'),
        (r'"a\"b"@client.example', r'"a\"b"@client.example'),
        ("jörg@client.example", "jörg@client.example"),
        ("анна@пример.рф", "анна@xn--e1afmkfd.xn--p1ai"),
        ("anna@Müller.example", "anna@xn--mller-kva.example"),
        ("anna@faß.example", "anna@xn--fa-hia.example"),  # IDNA 2003 would write to fass.example, another owner
        ("anna@client。example", "anna@client.example"),
        ("anna@xn--mller-kva.example", "anna@xn--mller-kva.example"),
        (f"{LOCAL_64}@client.example", f"{LOCAL_64}@client.example"),
        (f"{LOCAL_64}@{LONG_DOMAIN}.abcdef", f"{LOCAL_64}@{LONG_DOMAIN}.abcdef"),  # 254 octets
    ],
)
def test_the_normal_form(typed: str, normal: str) -> None:
    assert normalise(typed) == normal
    assert normalise(normal) == normal


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("", "empty"),
        (" \t\n", "empty"),
        ("anna", "no_at"),
        ("anna.client.example", "no_at"),
        ("@client.example", "local_part"),
        ("anna@", "domain"),
        ("anna@client", "domain"),
        ("anna@client.example.", "domain"),
        ("anna@.example", "domain"),
        ("anna@client..example", "domain"),
        ("anna@-client.example", "domain"),
        ("anna@client-.example", "domain"),
        ("anna@cli_ent.example", "domain"),
        ("anna@192.0.2.1", "domain"),
        ("anna@[192.0.2.1]", "domain"),
        (f"anna@{'d' * 64}.example", "domain"),
        ("anna@i❤.example", "domain"),
        ("anna@weber@client.example", "local_part"),
        ("anna.@client.example", "local_part"),
        (".anna@client.example", "local_part"),
        ("anna..weber@client.example", "local_part"),
        ("anna,luc@client.example", "local_part"),
        ("<anna@client.example>", "local_part"),
        ('"anna@client.example', "local_part"),
        ('"an"na"@client.example', "local_part"),
        (f"{LOCAL_64}l@client.example", "local_part"),
        (f"{'ж' * 33}@client.example", "local_part"),  # 33 letters, 66 octets
        ("anna weber@client.example", "space"),
        ("anna @client.example", "space"),
        ("anna@client.example luc@client.example", "space"),
        ("anna@client.example\r\nBcc: luc@client.example", "space"),
        ('"anna\nweber"@client.example', "space"),
        ('"anna\0"@client.example', "space"),
        ("an\u00a0na@client.example", "space"),
        ("anna\u2028@client.example", "space"),
        ("anna\u200b@client.example", "space"),
        ("\u202eanna@client.example", "space"),
        ("anna\ud800@client.example", "space"),
        (f"{LOCAL_64}@{LONG_DOMAIN}.abcdefg", "too_long"),
        ("anna@" + "d." * 5000 + "example", "too_long"),
        ("anna@" + "ж." * 5000 + "example", "too_long"),
    ],
)
def test_what_is_no_address(typed: str, code: str) -> None:
    with pytest.raises(AddressError) as refused:
        normalise(typed)
    assert refused.value.code == code
    assert str(refused.value).endswith((".", ".example."))
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ("Anna@Client.Example", "anna@client.example"),
        ("ЖАННА@пример.рф", "жанна@xn--e1afmkfd.xn--p1ai"),
        ("jo\u0308rg@client.example", "j\u00f6rg@client.example"),
        ("JO\u0308RG@client.example", "j\u00f6rg@client.example"),
    ],
)
def test_two_spellings_of_one_person(first: str, other: str) -> None:
    assert lookup_form(first) == lookup_form(other)


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ("weiß@client.example", "weiss@client.example"),
        ("anna@faß.example", "anna@fass.example"),
        ("anna+a@client.example", "anna@client.example"),
        ("a.nna@client.example", "anna@client.example"),
        ("anna@mail.client.example", "anna@client.example"),
    ],
)
def test_two_people_stay_two(first: str, other: str) -> None:
    """What one of them agreed to must never count for the other."""
    assert lookup_form(first) != lookup_form(other)


def test_the_domain_of_an_address() -> None:
    assert domain_of('"a@b"@Client.Example') == "client.example"


ANNA, LUC = Address("anna@client.example"), Address("luc@client.example")


@pytest.mark.parametrize(
    ("typed", "addresses"),
    [
        ("", []),
        (" , ;\r\n ,", []),
        ("anna@client.example", [ANNA]),
        ("anna@client.example, luc@client.example", [ANNA, LUC]),
        ("anna@client.example;luc@client.example;", [ANNA, LUC]),
        ("anna@client.example\nluc@client.example\r\n", [ANNA, LUC]),
        ("<anna@client.example>", [ANNA]),
        ("Anna Weber <anna@client.example>", [Address(ANNA.address, "Anna Weber")]),
        ("Anna   Weber<anna@client.example>", [Address(ANNA.address, "Anna Weber")]),
        ('"Weber, Anna" <anna@client.example>, luc@client.example', [Address(ANNA.address, "Weber, Anna"), LUC]),
        ('"Weber; Anna" <anna@client.example>; luc@client.example', [Address(ANNA.address, "Weber; Anna"), LUC]),
        ('"Anna <boss>" <anna@client.example>', [Address(ANNA.address, "Anna <boss>")]),
        (r'"Anna \"Ann\" Weber" <anna@client.example>', [Address(ANNA.address, 'Anna "Ann" Weber')]),
        ('"Weber, A." Jr <anna@client.example>', [Address(ANNA.address, "Weber, A. Jr")]),
        ("J. R. Weber <anna@client.example>", [Address(ANNA.address, "J. R. Weber")]),
        ("Anna O'Hara <anna@client.example>", [Address(ANNA.address, "Anna O'Hara")]),
        ("Анна Вебер <anna@client.example>", [Address(ANNA.address, "Анна Вебер")]),
        ("Anna (Sales, EMEA) <anna@client.example>", [Address(ANNA.address, "Anna (Sales, EMEA)")]),
        ("anna@client.example (Anna Weber)", [Address(ANNA.address, "Anna Weber")]),
        ('"a,b"@client.example, luc@client.example', [Address('"a,b"@client.example'), LUC]),
        ('"Anna\r\n Weber" <anna@client.example>', [Address(ANNA.address, "Anna Weber")]),
        ('"An\0na\x07" <anna@client.example>', [Address(ANNA.address, "Anna")]),
        ("Team: anna@client.example, luc@client.example;", [ANNA, LUC]),
        ("undisclosed-recipients:;", []),
        ("mailto:anna@client.example", [ANNA]),
        ("anna@MÜLLER.example", [Address("anna@xn--mller-kva.example")]),
    ],
)
def test_lists(typed: str, addresses: list[Address]) -> None:
    assert parse_list(typed) == addresses


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("anna@client.example, luc", "no_at"),
        ("Anna Weber", "no_at"),
        ("Anna anna@client.example", "space"),
        ("anna@client.example luc@client.example", "space"),
        ("Anna <anna@client.example> <luc@client.example>", "brackets"),
        ("Anna <anna@client.example", "brackets"),
        ("Anna <anna@client.example> and more", "brackets"),
        ("anna@client.example>", "local_part"),
        ("Anna <>", "empty"),
        ("alice@client.example)luc@client.example", "local_part"),
        ('"Anna <anna@client.example>, luc@client.example', "brackets"),
    ],
)
def test_a_list_with_a_wrong_one_is_refused_whole(typed: str, code: str) -> None:
    with pytest.raises(AddressError) as refused:
        parse_list(typed)
    assert refused.value.code in (code, "domain", "space")


ANYTHING = st.text(max_size=80) | st.text(
    st.sampled_from('aB.1@"\\ ,;<>()[]:-_\r\n\t\0ßİΣж\u0308\u200b\ud800'), max_size=40
)


@given(ANYTHING)
@example('"' * 65 + "@a.bc")
@example("\ud800@a.bc")
@example("a@\ud800.bc")
@example("a@İ.bc")
def test_normalise_raises_nothing_else(text: str) -> None:
    try:
        normal = normalise(text)
    except AddressError:
        return
    assert normalise(normal) == normal
    assert len(normal.encode()) <= 254
    assert normal.rpartition("@")[2].isascii()
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in normal)


@given(ANYTHING)
def test_parse_list_raises_nothing_else(text: str) -> None:
    try:
        addresses = parse_list(text)
    except AddressError:
        return
    assert all(normalise(mailbox.address) == mailbox.address for mailbox in addresses)


LETTERS = st.text(st.characters(categories=("L", "Nd", "Mn")) | st.sampled_from("İßΣŉΐǅ"), min_size=1, max_size=24)


@given(LETTERS)
@example("İ" * 32)  # two octets each, three in lower case: too long then
def test_the_lookup_form_is_its_own(local: str) -> None:
    try:
        form = lookup_form(f"{local}@Client.Example")
    except AddressError:
        return
    assert lookup_form(form) == form
    assert len(form) <= 254


ADDRESSES = st.builds(
    lambda local, domain: f"{local}@{domain}.example",
    st.from_regex(
        r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,9}(\.[a-z]{1,4})?|\"([a-z ,;:<>()@]|\\[\"\\]){1,9}\"", fullmatch=True
    ),
    st.from_regex(r"[a-z]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True),
)
NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=20).map(lambda name: " ".join(name.split()))


@given(st.lists(st.builds(Address, ADDRESSES, NAMES), max_size=4), st.sampled_from([", ", ";", "\r\n"]))
@example([Address("a@b.example", 'Doe; "J" \\, Esq. (x) <y>:')], ", ")
def test_what_is_written_is_read_again(mailboxes: list[Address], divider: str) -> None:
    assert parse_list(divider.join(str(mailbox) for mailbox in mailboxes)) == mailboxes


AT_ANNA, AT_LUC = "anna@client.example", "luc@client.example"


@pytest.mark.parametrize(
    ("written", "mailboxes", "odd"),
    [
        ('"Weber, Anna" <anna@client.example>, luc@client.example', [(AT_ANNA, "Weber, Anna"), (AT_LUC, "")], ()),
        ("Team: anna@client.example; luc@client.example", [(AT_ANNA, ""), (AT_LUC, "")], ()),
        ("=?utf-8?q?=C3=84nne?= <anna@client.example>", [(AT_ANNA, "Änne")], ()),
        ("anna@client.example (Anna)", [(AT_ANNA, "Anna")], ()),
        ('"Anna <anna@client.example>, luc@client.example', [(AT_ANNA, "Anna"), (AT_LUC, "")], ()),
        ("<@relay.example:anna@client.example>", [(AT_ANNA, "")], ()),
        ("Anna anna@client.example", [(AT_ANNA, "Anna")], ("address_by_pattern",)),
        ('"anna"@client.example, Luc <"luc" @ client.example>', [(AT_ANNA, ""), (AT_LUC, "Luc")], ()),
        ("anna @ client.example", [(AT_ANNA, "")], ()),
        ('"an na"@client.example', [('"an na"@client.example', "")], ()),
        ("undisclosed recipients, luc@client.example", [(AT_LUC, "")], ("address_unusable",)),
        ("", [], ()),
    ],
)
def test_a_field_of_any_mail_gives_whatever_can_be_used(
    written: str, mailboxes: list[tuple[str, str]], odd: tuple[str, ...]
) -> None:
    assert read_field(written) == AddressField(tuple(Address(*mailbox) for mailbox in mailboxes), odd)


@given(ANYTHING)
def test_a_field_never_raises_and_gives_usable_addresses_alone(text: str) -> None:
    for mailbox in read_field(text).mailboxes:
        assert normalise(mailbox.address) == mailbox.address


def test_no_address_has_no_look_up_form() -> None:
    assert lookup_or_none(" Anna@Client.EXAMPLE ") == AT_ANNA
    assert lookup_or_none("anna") is None
