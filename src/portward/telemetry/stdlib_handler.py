"""What libraries report through the standard `logging`, as lines of our own log."""

import logging
from collections.abc import Callable
from pathlib import PurePath
from types import TracebackType
from typing import Final

from portward.telemetry.events import Event
from portward.telemetry.fields import LIMIT, Fields

_FRAMES: Final = 8


class LibraryHandler(logging.Handler):
    """Hang it on a library's logger (`addHandler`); warnings and worse become `library` events.

    Of a message only the template is shown, never what was filled in, and of an exception only its
    class and where it came from: either may hold what a peer sent, or a secret.
    """

    def __init__(self, record: Callable[[Event, Fields], None]) -> None:
        super().__init__(logging.WARNING)
        self._record = record

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one on."""
        template = record.msg if isinstance(record.msg, str) and record.args else None
        fields: Fields = {"source": record.name, "detail": template}
        if record.exc_info and record.exc_info[1] is not None:
            fields |= exception_fields(record.exc_info[1])
        self._record(Event.LIBRARY, fields)


def exception_fields(error: BaseException) -> Fields:
    """The class of an exception and the innermost frames it passed, without any value."""
    return {"error": type(error).__name__, "trace": trace(error.__traceback__)}


def trace(traceback: TracebackType | None) -> str:
    """`session.py:120 handle < link.py:31 read < ...`, innermost first, within the limit."""
    frames: list[str] = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{PurePath(code.co_filename).name}:{traceback.tb_lineno} {code.co_name}")
        traceback = traceback.tb_next
    return " < ".join(reversed(frames[-_FRAMES:]))[:LIMIT]
