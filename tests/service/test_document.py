"""The OpenAPI document as people and generators of clients read it."""

import json
from pathlib import Path
from typing import Any

import pytest

from clv.service import schemas
from clv.service.app import create_api
from clv.settings import Settings

DOCUMENT = create_api(Settings(home=Path("nowhere"))).openapi()
OPERATIONS: list[dict[str, Any]] = [
    operation for methods in DOCUMENT["paths"].values() for operation in methods.values()
]
BODIES = [one for one in OPERATIONS if "requestBody" in one]


def test_operations_have_short_names_of_their_own() -> None:
    names = [one["operationId"] for one in OPERATIONS]
    assert len(names) == len(set(names))
    assert {"predict", "predict_batch", "evaluate_segment", "send_outcomes", "reset"} <= set(names)
    assert not [name for name in names if "api" in name or "post" in name]


@pytest.mark.parametrize("operation", BODIES, ids=lambda one: one["operationId"])
def test_every_body_has_examples_that_are_accepted(operation: dict[str, Any]) -> None:
    content = operation["requestBody"]["content"]["application/json"]
    model = getattr(schemas, content["schema"]["$ref"].rsplit("/")[-1])
    assert content["examples"]
    for example in content["examples"].values():
        model.model_validate_json(json.dumps(example["value"]))


def test_every_tag_is_described() -> None:
    used = {tag for one in OPERATIONS for tag in one["tags"]}
    assert used == {tag["name"] for tag in DOCUMENT["tags"]}
    assert all(tag["description"] for tag in DOCUMENT["tags"])


def test_a_rate_limit_is_called_by_its_name() -> None:
    limited = [one["responses"]["429"] for one in OPERATIONS if "429" in one["responses"]]
    assert limited
    assert all("Rate limit of this key exceeded" in one["description"] for one in limited)


def test_the_document_leads_nowhere_else() -> None:
    assert "http://" not in json.dumps(DOCUMENT)
    assert "https://" not in json.dumps(DOCUMENT)
