"""Calls of the Socket.IO handlers of the application: arguments, results and errors."""

import inspect
from typing import Any

import msgspec

from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.replies import Called
from portward.node.hooks import HookRunner
from portward.node.sessions import Session
from portward.node.socketio_server import EventError, EventHandler, Handler
from portward.protocols.socketio.events import invalid


async def outcome(hooks: HookRunner, session: Session, handler: Handler, *arguments: Any) -> Any:
    """Call a handler and return its result; its refusal (`EventError`) is returned as :class:`Called`.

    Raises:
        CommandError: `INTERNAL`, it failed; the error is recorded.
        Unavailable: it needs a service that is unreachable now.
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
    """Convert the arguments for the handler. Fields that its schema does not name are rejected.

    Raises:
        CommandError: `INVALID_STRUCTURE`, they do not match the schema.
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
    """Reject a wrong number of arguments before the handler fails because of it."""
    try:
        signature = inspect.signature(handler.handler)
    except ValueError:  # some functions not written in Python have no signature
        return
    try:
        signature.bind(None, *arguments)
    except TypeError:
        raise invalid("not the arguments of this event") from None
