"""The description of the API is valid and true: whatever it allows is taken or refused as described, and nothing breaks."""

import json
import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.fixtures.api_description import api_description
from tests.web.api.conftest import World

DOCUMENT = api_description()
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
ENDLESS = {"/feed"}
"""Calls whose answer goes on for minutes."""
BOUNDED = settings(
    max_examples=8,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def calls() -> list[tuple[str, str]]:
    paths = DOCUMENT["paths"].items()
    return [(method.upper(), path) for path, methods in paths for method in methods if path not in ENDLESS]


def test_every_reference_of_the_description_leads_somewhere() -> None:
    references = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(DOCUMENT)))
    assert references
    assert references <= set(DOCUMENT["components"]["schemas"])
    assert "#/$defs/" not in json.dumps(DOCUMENT)


@pytest.mark.parametrize(("method", "path"), calls())
def test_every_call_answers_as_described(world: World, method: str, path: str) -> None:
    """What the description cannot say (an address in use, a service that is none of ours) is refused with 422."""

    @BOUNDED
    @given(case=SCHEMA[path][method].as_strategy())
    def answers_as_described(case: Any) -> None:
        token = {"Authorization": f"Bearer {world.alice.token}"}
        case.call_and_validate(
            base_url=world.url, headers=token, timeout=30, excluded_checks=[positive_data_acceptance]
        )

    answers_as_described()
