"""The description of the API in OpenAPI 3.1, generated from the types that check the requests."""

from collections.abc import Mapping
from inspect import cleandoc
from typing import Any, Final

import msgspec

from portward.admin.errors import ApiFailure
from portward.admin.request_body import channel_schema
from portward.node.admin_method import AdminMethod
from portward.version import __version__

_REFERENCE: Final = "#/components/schemas/{name}"
_JSON: Final = "application/json"
_ERRORS: Final = {
    "400": "The body is not as described.",
    "401": "There is no key, or not one of ours.",
    "403": "The key lacks the scope.",
    "404": "The channel's namespace, the room or the approval is unknown.",
    "413": "The body or the publication is too large.",
    "500": "The gateway failed.",
    "503": "The engine cannot be asked now; the same may succeed later.",
}
_KEYS: Final = {
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "An API key.",
    },
    "authorization": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`apikey ` and an API key.",
    },
}
_PROBES: Final = {
    "/health": ("health", "Whether the node takes connections", "draining"),
    "/ready": (
        "ready",
        "Whether the node can do its work",
        "draining, or its engine is away or may drop keys",
    ),
}


def document(methods: Mapping[str, AdminMethod]) -> dict[str, Any]:
    """Return the complete description of these methods, by name."""
    types = {kind for each in methods.values() for kind in (each.request, each.result)}
    ordered = [*sorted(types, key=lambda kind: kind.__name__), ApiFailure]
    _, schemas = msgspec.json.schema_components(
        ordered, schema_hook=channel_schema, ref_template=_REFERENCE
    )
    for schema in schemas.values():
        schema["description"] = cleandoc(schema["description"])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Portward admin API",
            "version": __version__,
            "description": "What a backend asks of the gateway. Every method is a POST; what can"
            " be had by another address as well stands beside them.",
        },
        "security": [{name: []} for name in _KEYS],
        "paths": {
            **{f"/api/{name}": {"post": _method(name, each)} for name, each in methods.items()},
            **{
                f"/api{each.alias[1]}": {each.alias[0].lower(): _alias(each, *each.alias)}
                for each in methods.values()
                if each.alias is not None
            },
            **{path: {"get": _probe(*given)} for path, given in _PROBES.items()},
            "/metrics": {"get": _metrics()},
        },
        "components": {
            "securitySchemes": _KEYS,
            "schemas": schemas,
            "responses": {"Error": _response("Refused.", _named(ApiFailure))},
        },
    }


def _named(kind: type) -> dict[str, Any]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {_JSON: {"schema": schema}}}


def _method(name: str, method: AdminMethod) -> dict[str, Any]:
    scope = f"the scope `{method.scope.value}`" if method.scope else "any scope"
    refused = {
        status: {"$ref": "#/components/responses/Error", "description": text}
        for status, text in _ERRORS.items()
    }
    return {
        "operationId": name,
        "summary": method.summary,
        "description": f"Needs a key with {scope}.",
        "requestBody": {
            "required": True,
            "content": {_JSON: {"schema": _named(method.request)}},
        },
        "responses": {"200": _response("Done.", _envelope(name, method)), **refused},
    }


def _alias(method: AdminMethod, verb: str, path: str) -> dict[str, Any]:
    """Describe the second address of a method. Parameters of its path replace the body."""
    _, name, *parameters = path.split("/")
    described = _method(f"{name}_{verb.lower()}", method)
    if not parameters:
        return described
    del described["requestBody"]
    fields = f"{_named(method.request)['$ref']}/properties"
    return {
        **described,
        "parameters": [
            {"name": each, "in": "path", "required": True, "schema": {"$ref": f"{fields}/{each}"}}
            for each in (parameter.strip("{}") for parameter in parameters)
        ],
    }


def _envelope(name: str, method: AdminMethod) -> dict[str, Any]:
    """Describe the response `{"result": …}`; a batch repeats its replies beside it."""
    properties = {"result": _named(method.result)}
    if name == "batch":
        replies = f"{_REFERENCE.format(name=method.result.__name__)}/properties/replies"
        properties["replies"] = {"$ref": replies}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _probe(name: str, summary: str, otherwise: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {"status": {"type": "string"}},
        "required": ["status"],
    }
    return {
        "operationId": name,
        "summary": summary,
        "security": [],
        "responses": {
            "200": _response("Yes.", schema),
            "503": _response(f"No: {otherwise}.", schema),
        },
    }


def _metrics() -> dict[str, Any]:
    return {
        "operationId": "metrics",
        "summary": "Numbers in Prometheus' text format",
        "description": "On a loopback address no key is needed; elsewhere one with `read`.",
        "security": [{}, *({name: []} for name in _KEYS)],
        "responses": {
            "200": {"description": "Done.", "content": {"text/plain": {}}},
            "401": {"$ref": "#/components/responses/Error"},
            "403": {"$ref": "#/components/responses/Error"},
        },
    }
