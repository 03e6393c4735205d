"""The arguments of an event, as its handler takes them."""

from typing import Any

import msgspec
import pytest

from portward.model.errors import CommandError, ErrorKind
from portward.protocols.socketio.namespaces import read
from portward.protocols.socketio.server import EventHandler


class Plain(msgspec.Struct):
    """A type that names two fields."""

    a: int
    b: bytes = b""


class Tagged(msgspec.Struct, tag=True, rename="camel"):
    """A type that names itself, and whose field has another name for clients."""

    a_field: int


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    """A type without fields."""


def handle(_: object, a: object, b: object = None, *, c: object = None) -> None:
    """Take one or two."""


def refused(handler: EventHandler, *arguments: Any) -> str:
    """Why arguments are refused."""
    with pytest.raises(CommandError) as caught:
        read(handler, arguments)
    assert caught.value.kind is ErrorKind.INVALID_STRUCTURE
    return caught.value.hint or ""


@pytest.mark.parametrize("arguments", [(1,), (1, b"x"), ([], None)])
def test_without_a_schema(arguments: tuple[Any, ...]) -> None:
    """Without a schema the arguments are taken as they are, as many as the handler takes."""
    assert read(EventHandler(handle), arguments) == arguments


@pytest.mark.parametrize("arguments", [(), (1, 2, 3)])
def test_too_many_or_too_few(arguments: tuple[Any, ...]) -> None:
    """Others are the client's mistake."""
    assert "arguments" in refused(EventHandler(handle), *arguments)


def test_nobody_knows_how_many() -> None:
    """A function that does not say what it takes is given everything."""
    assert read(EventHandler(max), (1, 2, 3)) == (1, 2, 3)


@pytest.mark.parametrize(
    ("schema", "given", "value"),
    [
        (Plain, {"a": 1}, Plain(1)),
        (Plain, {"a": 1, "b": b"x"}, Plain(1, b"x")),
        (Tagged, {"type": "Tagged", "aField": 1}, Tagged(1)),
        (Strict, {}, Strict()),
    ],
)
def test_with_a_schema(schema: type[msgspec.Struct], given: Any, value: object) -> None:
    """With a schema the one argument is read into it."""
    assert read(EventHandler(handle, schema), (given,)) == (value,)


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        (Plain, ()),
        (Plain, ({"a": 1}, 2)),
        (Plain, ({"a": "1"},)),
        (Plain, ({},)),
        (Plain, ([1],)),
        (Plain, ({"a": 1, "c": 2},)),
        (Plain, ({"a": 1, "": 2},)),
        (Tagged, ({"type": "Other", "aField": 1},)),
        (Tagged, ({"type": "Tagged", "a_field": 1},)),
        (Strict, ({"": 1},)),
    ],
)
def test_what_does_not_fit(schema: type[msgspec.Struct], arguments: tuple[Any, ...]) -> None:
    """Missing, unknown and wrong fields are refused, and so is another number of arguments."""
    assert refused(EventHandler(handle, schema), *arguments)
