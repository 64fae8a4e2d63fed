"""A form is read by the schema that the API takes, and what does not fit is said in the words of people."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from tracker.locale import use_locale
from tracker.mail.fields import EmailAddress, RequestModel, SingleLine
from tracker.runtime.localized_text import ActionError
from tracker.web.http.forms import errors_of, parse


class Server(RequestModel):
    host: SingleLine = ""
    port: Annotated[int, Field(ge=1, le=65535)] = 25


class Pet(RequestModel):
    name: SingleLine = "Rex"
    owner: EmailAddress
    kind: Literal["cat", "dog"] = "cat"
    age: Annotated[int, Field(ge=0)] | None = 3
    is_tame: bool = True
    secret: str | None = None
    toys: Annotated[list[Annotated[SingleLine, Field(max_length=9)]], Field(max_length=2)] = []
    breed: Annotated[SingleLine, Field(max_length=9)] = ""
    home: Server | None = None


GOOD: Mapping[str, Any] = {"owner": "anna@Example.com"}


def wrong(form: Mapping[str, Any]) -> Mapping[str, str]:
    with pytest.raises(ActionError) as error:
        parse(Pet, {**GOOD, **form}, boxes=["is_tame"])
    return errors_of(error.value)


def test_texts_become_what_the_schema_wants() -> None:
    pet = parse(Pet, {**GOOD, "name": " Tom ", "age": " 7 ", "is_tame": "on", "secret": " s "}, boxes=["is_tame"])
    assert (pet.name, pet.owner, pet.age, pet.is_tame, pet.secret) == ("Tom", "anna@example.com", 7, True, " s ")


def test_what_is_empty_is_none_an_empty_text_or_left_out_and_an_absent_box_is_not_ticked() -> None:
    pet = parse(Pet, {**GOOD, "name": " ", "kind": "", "age": "", "secret": "", "more": "1"}, boxes=["is_tame"])
    assert pet.model_dump(exclude_unset=True) == {
        "name": "",
        "owner": "anna@example.com",
        "age": None,
        "is_tame": False,
    }


def test_a_box_that_the_form_has_not_is_left_out() -> None:
    assert "is_tame" not in parse(Pet, GOOD).model_fields_set


def test_a_nested_model_is_read_from_the_fields_with_its_prefix() -> None:
    form = {**GOOD, "home": "on", "home_host": "a.example", "home_port": "26"}
    assert parse(Pet, form).home == Server(host="a.example", port=26)
    assert parse(Pet, {**form, "home": None}).home is None
    assert wrong({**form, "home_port": "0"}) == {"home_port": "This must be 1 or more."}


@pytest.mark.parametrize(
    ("form", "field", "sentence"),
    [
        ({"owner": "anna"}, "owner", "“anna” has no @. An address looks like name@example.com."),
        ({"age": "old"}, "age", "This must be a whole number."),
        ({"age": "-1"}, "age", "This must be 0 or more."),
        ({"kind": "fish"}, "kind", "This must be one of 'cat' or 'dog'."),
        ({"breed": "x" * 10}, "breed", "This is longer than 9 characters."),
        ({"toys": ["x" * 10]}, "toys", "This is longer than 9 characters."),
        ({"toys": ["ball"] * 3}, "toys", "This has more than 2 entries."),
        ({"name": "a\tb"}, "name", "This must be one line, without control characters."),
    ],
)
def test_what_does_not_fit_is_said_beside_its_field(form: Mapping[str, Any], field: str, sentence: str) -> None:
    assert wrong(form) == {field: sentence}


def test_every_field_that_does_not_fit_is_named_in_the_language_of_the_reader() -> None:
    with use_locale("ru", "UTC"):
        assert wrong({"age": "old", "name": "a\tb"}) == {
            "name": "Здесь должна быть одна строка без управляющих символов.",
            "age": "Здесь должно быть целое число.",
        }


def test_a_form_may_say_it_in_words_of_its_own() -> None:
    with pytest.raises(ActionError) as error:
        parse(Pet, {**GOOD, "age": "old"}, sentences={"age": "How old is it?"})
    assert errors_of(error.value) == {"age": "How old is it?"}
