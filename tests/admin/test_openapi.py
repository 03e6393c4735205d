import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from portward.admin import openapi
from portward.admin.methods import all_methods
from portward.protocols.registry import PROTOCOLS
from tests.admin.service import Service

METHODS = all_methods(PROTOCOLS)

DOCUMENT: dict[str, Any] = json.loads(msgspec.json.encode(openapi.document(METHODS)))
TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from nodes(each)
    elif isinstance(value, list):
        for each in value:
            yield from nodes(each)


def resolve(reference: str) -> Any:
    """What a reference points to."""
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_it_is_openapi_3_1() -> None:
    """The document has the fixed parts, and nothing beside them."""
    assert DOCUMENT["openapi"] == "3.1.0"
    assert set(DOCUMENT) == {"openapi", "info", "security", "paths", "components"}
    assert {"title", "version"} <= set(DOCUMENT["info"])
    assert set(DOCUMENT["components"]) == {"securitySchemes", "schemas", "responses"}


def test_every_reference_leads_somewhere() -> None:
    """No `$ref` points outside the document or at nothing."""
    references = [node["$ref"] for node in nodes(DOCUMENT) if "$ref" in node]
    assert len(references) > 100
    assert all(resolve(reference) for reference in references)


def test_every_component_is_used() -> None:
    """No schema is described that nothing refers to."""
    used = {node["$ref"].split("/")[3] for node in nodes(DOCUMENT) if "$ref" in node}
    assert used - {"Error"} == set(DOCUMENT["components"]["schemas"])


def test_operations_are_complete() -> None:
    """Each operation has an id of its own, a summary, and responses with a description each."""
    operations = [each for path in DOCUMENT["paths"].values() for each in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        assert operation["summary"]
        assert "200" in operation["responses"]
        for status, response in operation["responses"].items():
            assert status.isdigit()
            assert "description" in {**response, **resolve(response.get("$ref", "#/info"))}


def test_schemas_are_json_schema() -> None:
    """Types are those of JSON, required names are properties, enumerations are not empty."""
    for schema in DOCUMENT["components"]["schemas"].values():
        assert schema["description"] == schema["description"].strip()
        assert "\n    " not in schema["description"]
        for node in nodes(schema):
            if isinstance(node.get("type"), str):
                assert node["type"] in TYPES
            if isinstance(node.get("required"), list):
                assert set(node["required"]) <= set(node["properties"])
            assert node.get("enum", [1])


@pytest.mark.parametrize("name", list(METHODS))
def test_every_method_is_described(name: str) -> None:
    """Each row of the table has its path, its request, its result and the shape of an error."""
    operation = DOCUMENT["paths"][f"/api/{name}"]["post"]
    method = METHODS[name]
    request = operation["requestBody"]["content"]["application/json"]["schema"]
    assert request == {"$ref": f"#/components/schemas/{method.request.__name__}"}
    assert resolve(request["$ref"])["additionalProperties"] is False
    result = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert result["properties"]["result"]["$ref"].endswith(f"/{method.result.__name__}")
    assert "result" in result["required"]
    for status in ("400", "401", "403", "404", "413", "500", "503"):
        assert operation["responses"][status]["$ref"] == "#/components/responses/Error"
    assert "security" not in operation
    assert (method.scope.value if method.scope else "any") in operation["description"]


def test_nothing_else_is_under_the_api() -> None:
    """The document describes no method that the table does not have, but for two addresses more."""
    described = {path.removeprefix("/api/") for path in DOCUMENT["paths"] if "/api/" in path}
    assert described == {*METHODS, "approvals", "approvals/{id}"}


def test_approvals_have_addresses_of_their_own() -> None:
    """They are described as the methods behind them, the one with its id in the address."""
    asked = DOCUMENT["paths"]["/api/approvals"]["post"]
    method = DOCUMENT["paths"]["/api/approval_request"]["post"]
    assert {**asked, "operationId": "approval_request"} == method
    read = DOCUMENT["paths"]["/api/approvals/{id}"]["get"]
    assert "requestBody" not in read
    (parameter,) = read["parameters"]
    assert (parameter["name"], parameter["in"], parameter["required"]) == ("id", "path", True)
    assert resolve(parameter["schema"]["$ref"])["maxLength"] == 64
    assert read["responses"] == DOCUMENT["paths"]["/api/approval_get"]["post"]["responses"]


def test_keys_are_described() -> None:
    """Both places of a key are security schemes, either is enough, and the probes need none."""
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert {scheme["name"] for scheme in schemes.values()} == {"X-API-Key", "Authorization"}
    assert DOCUMENT["security"] == [{name: []} for name in schemes]
    for path in ("/health", "/ready"):
        assert DOCUMENT["paths"][path]["get"]["security"] == []


def test_an_error_is_described() -> None:
    """The error shape has a number and a sentence."""
    response = resolve("#/components/responses/Error")
    failure = resolve(response["content"]["application/json"]["schema"]["$ref"])
    error = resolve(failure["properties"]["error"]["$ref"])
    assert error["required"] == ["code", "message"]


def test_a_channel_is_described_by_its_grammar() -> None:
    """The description of a channel carries its length and its pattern."""
    channel = DOCUMENT["components"]["schemas"]["PublishRequest"]["properties"]["channel"]
    assert channel["maxLength"] == 128
    assert channel["pattern"]


async def test_it_is_served(service: Service) -> None:
    """The document is served as it is, without a key."""
    response = await service.http.get("/openapi.json")
    assert response.json() == DOCUMENT
    assert response.headers["content-type"] == "application/json"
