"""A handler for the standard `logging` that turns messages of libraries into lines of the gateway's log."""

import logging
from collections.abc import Callable
from pathlib import PurePath
from types import TracebackType
from typing import Final

from portward.telemetry.events import Event
from portward.telemetry.fields import LIMIT, Fields

_FRAMES: Final = 8


class LibraryHandler(logging.Handler):
    """Add it to a library's logger (`addHandler`); warnings and errors become `library` events.

    Only the template of a message is written, without its arguments, and only the class and the place of an
    exception: the rest may contain data of a peer, or a secret.
    """

    def __init__(self, record: Callable[..., None]) -> None:
        super().__init__(logging.WARNING)
        self._record = record

    def emit(self, record: logging.LogRecord) -> None:
        """Write one log record as an event."""
        template = record.msg if isinstance(record.msg, str) and record.args else None
        fields: Fields = {"source": record.name, "detail": template}
        if record.exc_info and record.exc_info[1] is not None:
            fields |= exception_fields(record.exc_info[1])
        self._record(Event.LIBRARY, **fields)


def exception_fields(error: BaseException) -> Fields:
    """Return the class of an exception and its innermost frames, without any value."""
    return {"error": type(error).__name__, "trace": trace(error.__traceback__)}


def trace(traceback: TracebackType | None) -> str:
    """Return `session.py:120 handle < link.py:31 read < ...`, innermost frame first, within the limit."""
    frames: list[str] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{PurePath(code.co_filename).name}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return " < ".join(reversed(frames[-_FRAMES:]))[:LIMIT]
