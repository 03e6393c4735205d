"""Writes an AsyncAPI 3.0 document for each protocol."""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from docs.contract import CONTRACTS, Contract, Form, Kind, Schema, message_schema, schemas
from portward.model.disconnects import Disconnect
from portward.version import __version__

_SCHEMA: Final = "#/components/schemas/{name}"
_PLAIN: Final = re.compile(r"[A-Za-z_$#/][A-Za-z0-9_$#/.-]*\Z")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"})
_SOCKETIO: Final = (
    " The payload is the one argument of a Socket.IO event, whose name is the name of the message;"
    " `x-acknowledgement` is the one argument of its acknowledgement."
)


def document(contract: Contract) -> Schema:
    """The whole document, from the side of the gateway: it receives what clients send."""
    name = contract.name
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": f"Portward {name}",
            "version": __version__,
            "description": _description(contract),
        },
        "defaultContentType": "application/json",
        "servers": {
            "gateway": {
                "host": "gateway.example.com",
                "protocol": "wss",
                "description": "A gateway.",
            }
        },
        "channels": {
            name: {
                "address": contract.path,
                "description": "One WebSocket; the path is the default of the settings.",
                "messages": {
                    key: {"$ref": f"#/components/messages/{key}"} for key, *_ in _messages(contract)
                },
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
                "x-close-codes": list(_closes(contract)),
                "x-errors": [
                    {"code": each.code, "temporary": each.temporary} for each in contract.errors
                ],
            }
        },
        "operations": dict(_operations(contract)),
        "components": {
            "messages": {
                key: _message(contract, form, kind, client=client)
                for key, form, kind, client in _messages(contract)
            },
            "schemas": schemas((contract,), _SCHEMA),
        },
    }


def _description(contract: Contract) -> str:
    more = _SOCKETIO if contract.client_form is Form.EVENT else ""
    unlisted = f" {contract.unlisted}" if contract.unlisted else ""
    return (
        f"{contract.summary}{more}{unlisted} Clients ignore types and keys that they do not know."
        " Endings with `reconnect` invite a client to come back, after the `retryMs` of the last message."
    )


def _messages(contract: Contract) -> Iterator[tuple[str, Form, Kind, bool]]:
    for kind in contract.client:
        yield f"client_{kind.word}", contract.client_form, kind, True
    for kind in contract.server:
        yield f"gateway_{kind.word}", contract.server_form, kind, False


def _message(contract: Contract, form: Form, kind: Kind, *, client: bool) -> Schema:
    message: Schema = {
        "name": kind.word,
        "summary": kind.meaning,
        "payload": message_schema(form, kind, _SCHEMA, client=client),
    }
    answers = contract.acknowledgements.get(kind.word) if client else None
    if answers is not None:
        names = [{"$ref": _SCHEMA.format(name=each.__name__)} for each in answers]
        message["x-acknowledgement"] = {"oneOf": names}
    return message


def _operations(contract: Contract) -> Iterator[tuple[str, Schema]]:
    channel = {"$ref": f"#/channels/{contract.name}"}

    def named(key: str) -> Schema:
        return {"$ref": f"#/channels/{contract.name}/messages/{key}"}

    for kind in contract.client:
        operation: Schema = {
            "action": "receive",
            "channel": channel,
            "summary": kind.meaning,
            "messages": [named(f"client_{kind.word}")],
        }
        if kind.answers:
            answers = [*kind.answers, "error"]
            operation["reply"] = {
                "channel": channel,
                "messages": [named(f"gateway_{word}") for word in answers],
            }
        yield f"receive_{kind.word}", operation
    for kind in contract.server:
        yield (
            f"send_{kind.word}",
            {
                "action": "send",
                "channel": channel,
                "summary": kind.meaning,
                "messages": [named(f"gateway_{kind.word}")],
            },
        )


def _closes(contract: Contract) -> Iterator[Schema]:
    for ending in Disconnect:
        code, reason = contract.closes.get(ending, (ending.code, ending.reason))
        yield {
            "name": ending.name.lower(),
            "code": code,
            "reason": reason,
            "reconnect": ending.reconnect,
            "meaning": ending.meaning,
        }


# -- YAML


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.match(value) and value.lower() not in _WORDS:
        return value if not value.startswith("#") else json.dumps(value)
    return json.dumps(value, ensure_ascii=False)


def _lines(value: Any, indent: str) -> Iterator[str]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in items:
        head = f"{_scalar(str(key))}:" if isinstance(value, dict) else "-"
        if isinstance(each, dict | list) and each:
            yield f"{indent}{head}"
            yield from _lines(each, f"{indent}  ")
        else:
            yield f"{indent}{head} {_scalar(each)}"


def yaml(value: Schema) -> str:
    """A document in YAML: every text that is not a plain word is in double quotes, as in JSON."""
    return "\n".join(_lines(value, "")) + "\n"


def _page(contract: Contract) -> str:
    return yaml(document(contract))


PAGES: Final[dict[str, Callable[[], str]]] = {
    f"reference/asyncapi-{contract.name}.yaml": partial(_page, contract) for contract in CONTRACTS
}
