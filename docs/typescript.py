"""Writes the types of messages in TypeScript, with the tables that clients decide by."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from docs.contract import CONTRACTS, Contract, Form, Kind, Schema, schemas
from portward.admin.methods import all_methods
from portward.admin.request_body import channel_schema
from portward.model.disconnects import PROXIES, Disconnect
from portward.protocols.registry import PROTOCOLS

METHODS = all_methods(PROTOCOLS)

_REF: Final = "{name}"
_PLAIN: Final = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
    None: "unknown",
}


def module() -> str:
    """The whole file."""
    parts = [*_interfaces(schemas(CONTRACTS, _REF))]
    for contract in CONTRACTS:
        parts += _unions(contract)
    parts += _endings()
    return "\n".join(parts)


def admin_module() -> str:
    """The requests and results of the admin API."""
    types = {kind for each in METHODS.values() for kind in (each.request, each.result)}
    ordered = sorted(types, key=lambda kind: kind.__name__)
    _, found = msgspec.json.schema_components(
        ordered, schema_hook=channel_schema, ref_template=_REF
    )
    parts = list(_interfaces(dict(sorted(found.items()))))
    rows = "".join(
        f"{_comment(each.summary + '.', '  ')}  {name}: {{ request: {each.request.__name__};"
        f" result: {each.result.__name__} }};\n"
        for name, each in METHODS.items()
    )
    parts.append("/** Every method of the admin API. */")
    parts.append(f"export interface Methods {{\n{rows}}}\n")
    parts.append("export type MethodName = keyof Methods;\n")
    return "\n".join(parts)


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _comment(text: str, indent: str = "") -> str:
    return f"{indent}/** {' '.join(text.split())} */\n" if text else ""


def _interfaces(found: dict[str, Schema]) -> Iterator[str]:
    for name, schema in found.items():
        text = _comment(schema.get("description", ""))
        if schema.get("type") == "object":
            yield f"{text}export interface {name} {_object(schema)}\n"
        else:
            yield f"{text}export type {name} = {type_of(schema)};\n"


def _object(schema: Schema) -> str:
    required = schema.get("required", [])
    lines = []
    for key, each in schema["properties"].items():
        mark = "" if key in required else "?"
        text = _comment(each.get("description", ""), "  ")
        lines.append(f"{text}  {key}{mark}: {type_of(each)};\n")
    return "{\n" + "".join(lines) + "}" if lines else "{}"


def type_of(schema: Schema) -> str:
    """The type of what a JSON schema describes."""
    for keyword, written in _KEYWORDS.items():
        if keyword in schema:
            return written(schema[keyword])
    kind = schema.get("type")
    if kind == "array":
        return f"{_bracketed(type_of(schema.get('items', {})))}[]"
    if kind == "object":
        return f"Record<string, {type_of(schema.get('additionalProperties', {}))}>"
    kinds = kind if isinstance(kind, list) else [kind]
    return _union(_PLAIN[each] for each in kinds)


def _union(types: Iterable[str]) -> str:
    found = list(dict.fromkeys(types))
    return "unknown" if "unknown" in found else " | ".join(found)


_KEYWORDS: Final[dict[str, Callable[[Any], str]]] = {
    "$ref": str,
    "const": _literal,
    "enum": lambda values: _union(map(_literal, values)),
    "anyOf": lambda schemas: _union(map(type_of, schemas)),
}


def _bracketed(text: str) -> str:
    return f"({text})" if "|" in text else text


# -- messages by their types


def _unions(contract: Contract) -> Iterator[str]:
    errors = _union(_literal(error.code) for error in contract.errors)
    yield f"/** Codes of refusals and endings in {contract.name}. */"
    yield f"export type {contract.title}ErrorCode = {errors};\n"
    later = [error.code for error in contract.errors if error.temporary]
    yield f"/** Codes of {contract.name} after which the same may succeed later. */"
    yield f"export const {contract.name}Temporary: readonly string[] = {_literal(later)};\n"
    if contract.client_form is Form.EVENT:
        yield from _events(contract)
        return
    for side, form, kinds in (
        ("Client", contract.client_form, contract.client),
        ("Server", contract.server_form, contract.server),
    ):
        yield from _messages(f"{contract.title}{side}", form, kinds, contract.unlisted)


def _messages(name: str, form: Form, kinds: tuple[Kind, ...], unlisted: str) -> Iterator[str]:
    yield f"/** What stands in the messages, by their types. {unlisted}".rstrip() + " */"
    lines = "".join(
        f"{_comment(kind.meaning, '  ')}  {kind.word}: {kind.body.__name__};\n" for kind in kinds
    )
    yield f"export interface {name}Messages {{\n{lines}}}\n"
    keys = {
        Form.DATA: f"{{ type: T; data: {name}Messages[T]; timestamp: number; id?: string }}",
        Form.PAYLOAD: f"{{ type: T; payload: {name}Messages[T]; id?: string | number }}",
        Form.FLAT: f"{name}Messages[T]",
    }[form]
    yield f"export type {name}Message<\n  T extends keyof {name}Messages = keyof {name}Messages,"
    yield f"> = {{ [T in keyof {name}Messages]: {keys} }}[T];\n"


def _events(contract: Contract) -> Iterator[str]:
    """Maps of events as `socket.io-client` takes them: `Socket<ServerEvents, ClientEvents>`."""
    lines = []
    for kind in contract.client:
        answers = " | ".join(each.__name__ for each in contract.acknowledgements[kind.word])
        lines.append(
            f"{_comment(kind.meaning, '  ')}  {kind.word}: (\n    argument: {kind.body.__name__},\n"
            f"    acknowledge: (answer: {answers}) => void,\n  ) => void;\n"
        )
    yield "/** Events that clients emit, each with its acknowledgement. */"
    yield f"export interface {contract.title}ClientEvents {{\n{''.join(lines)}}}\n"
    told = "".join(
        f"{_comment(kind.meaning, '  ')}  {kind.word}: (data: {kind.body.__name__}) => void;\n"
        for kind in contract.server
    )
    yield f"/** Events that the gateway emits. {contract.unlisted} */"
    yield f"export interface {contract.title}ServerEvents {{\n{told}}}\n"


# -- endings


def _endings() -> Iterator[str]:
    codes: dict[int, bool] = {**PROXIES, **{ending.code: ending.reconnect for ending in Disconnect}}
    rows = ", ".join(f"{code}: {_literal(codes[code])}" for code in sorted(codes))
    yield "/** Close codes, and whether a client may connect again after them. */"
    yield f"export const closeCodes: Readonly<Record<number, boolean>> = {{ {rows} }};\n"
    words = {
        contract.name: {
            f"{code} {reason}": ending.reconnect
            for ending, (code, reason) in contract.closes.items()
        }
        for contract in CONTRACTS
    }
    yield "/** Closes that a protocol words itself, as `code reason`: they come before `closeCodes`. */"
    yield "export const closeReasons: Readonly<Record<string, Readonly<Record<string, boolean>>>> ="
    yield f"  {_literal(words)};\n"
    own = {close: again for closes in words.values() for close, again in closes.items()}
    yield "/** Closes that invite although no range of codes says so, as `code` or `code reason`. */"
    yield f"export const invitingCloses: readonly string[] = {_literal(inviting_closes(codes, own))};\n"
    names = _union(_literal(ending.name.lower()) for ending in Disconnect)
    yield f"export type EndingName = {names};\n"
    yield "/** An ending of a connection, for messages and documentation. */"
    yield (
        "export interface Ending {\n  name: EndingName;\n  code: number;\n  reason: string;\n"
        "  reconnect: boolean;\n  meaning: string;\n}\n"
    )
    yield "/** Every ending of the gateway. A bundler leaves the table out where it is not used. */"
    yield (
        "export const endings: readonly Ending[] = [\n" + "".join(map(_ending, Disconnect)) + "];\n"
    )


def inviting_closes(codes: Mapping[int, bool], own: Mapping[str, bool]) -> list[str]:
    """The closes that invite although no range of codes says so. A client decides by these and the ranges.

    Raises:
        AssertionError: a close forbids, and its code invites: these clients could not tell.
    """
    invites = {code for code, again in codes.items() if again}
    for code, again in codes.items():
        if _ranges(code) and not again:
            raise AssertionError(f"{code} forbids in a range that invites")
    inviting = [str(code) for code in sorted(invites) if not _ranges(code)]
    for close, again in own.items():
        code = int(close.partition(" ")[0])
        clear = code in invites or _ranges(code)
        if clear and not again:
            raise AssertionError(f"{close} forbids, and its code invites")
        if again and not clear:
            inviting.append(close)
    return inviting


def _ranges(code: int) -> bool:
    """Whether a code invites by the range that it is in."""
    return 3000 <= code < 3500 or 4000 <= code < 4500  # noqa: PLR2004 - the ranges as they are written


def _ending(ending: Disconnect) -> str:
    row = {
        "name": ending.name.lower(),
        "code": ending.code,
        "reason": ending.reason,
        "reconnect": ending.reconnect,
        "meaning": ending.meaning,
    }
    keys = ", ".join(f"{key}: {_literal(value)}" for key, value in row.items())
    return f"  {{ {keys} }},\n"
