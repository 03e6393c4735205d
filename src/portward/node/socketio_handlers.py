"""Calling the application's handlers: their arguments as they take them, what they return or raise."""

import inspect
from typing import Any

import msgspec

from portward.dialects.socketio.events import invalid
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.replies import Called
from portward.node.hooks import HookRunner
from portward.node.session import Session
from portward.node.socketio_server import EventError, EventHandler, Handler


async def outcome(hooks: HookRunner, session: Session, handler: Handler, *arguments: Any) -> Any:
    """What a handler returns; a refusal of its is an answer already, a :class:`Called`.

    Raises:
        Fault: `INTERNAL`, it failed, which is recorded.
        Unavailable: it needed what cannot be reached now.
    """
    try:
        return await hooks.run(session, handler, *arguments)
    except EventError as error:
        return Called(result=(error.answer,))
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001 - the application's code may raise anything
        hooks.failed(error)
        raise CommandError(ErrorKind.INTERNAL, detail="handler") from None


def read(handler: EventHandler, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments as the handler takes them. What its schema does not name is refused.

    Raises:
        Fault: `INVALID_STRUCTURE`, they are not as the schema wants them.
    """
    schema = handler.schema
    if schema is None:
        _check_count(handler, arguments)
        return arguments
    if len(arguments) != 1:
        raise invalid("one argument is expected")
    given = arguments[0]
    known: set[str | None] = {field.encode_name for field in msgspec.structs.fields(schema)}
    known.add(schema.__struct_config__.tag_field)
    if isinstance(given, dict) and not given.keys() <= known:
        raise invalid("unknown field")
    try:
        return (msgspec.convert(given, schema),)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from None


def _check_count(handler: EventHandler, arguments: tuple[Any, ...]) -> None:
    """Refuse more or fewer arguments than the handler takes, before they make it fail."""
    try:
        signature = inspect.signature(handler.handler)
    except ValueError:  # some functions that are not written in Python have none
        return
    try:
        signature.bind(None, *arguments)
    except TypeError:
        raise invalid("not the arguments of this event") from None
