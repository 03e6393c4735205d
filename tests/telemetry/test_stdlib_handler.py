import logging
from collections.abc import Iterator
from typing import cast

import pytest

from portward.telemetry.events import Event
from portward.telemetry.fields import Fields
from portward.telemetry.stdlib_handler import LibraryHandler, exception_fields, trace

Records = list[tuple[Event, Fields]]


class Lazy:
    """A message some libraries pass instead of a string."""

    def __str__(self) -> str:
        return "canary %s"


@pytest.fixture
def records() -> Records:
    """What the handler passed on."""
    return []


@pytest.fixture
def logger(records: Records) -> Iterator[logging.Logger]:
    """A library's logger with the handler on it."""
    logger = logging.getLogger("some.library")
    handler = LibraryHandler(
        lambda event, **fields: records.append((event, cast("Fields", fields)))
    )
    logger.addHandler(handler)
    logger.propagate = False
    yield logger
    logger.removeHandler(handler)
    logger.propagate = True


@pytest.mark.p0
def test_a_template_is_shown_and_what_fills_it_is_not(
    logger: logging.Logger, records: Records
) -> None:
    """A library may put anything into its messages."""
    logger.warning("cannot reach %s", "https://idp/?token=canary")
    logger.warning("cannot reach canary")  # already filled in, by all we know
    logger.warning(Lazy(), "x")
    assert records == [
        (Event.LIBRARY, {"source": "some.library", "detail": "cannot reach %s"}),
        (Event.LIBRARY, {"source": "some.library", "detail": None}),
        (Event.LIBRARY, {"source": "some.library", "detail": None}),
    ]


def test_chatter_below_warnings_is_left_out(logger: logging.Logger, records: Records) -> None:
    """Libraries log requests as `info`, with their addresses."""
    logger.setLevel(logging.DEBUG)
    logger.info("GET %s", "/")
    assert records == []


@pytest.mark.p0
def test_an_exception_shows_its_class_and_origin_alone(
    logger: logging.Logger, records: Records
) -> None:
    """Its text stays out."""
    try:
        int("canary")
    except ValueError:
        logger.exception("while parsing %s", "canary")
    logger.warning("no exception under way", exc_info=(None, None, None))
    (_, fields), (_, plain) = records
    assert fields["error"] == "ValueError"
    assert "test_stdlib_handler.py" in str(fields["trace"])
    assert "canary" not in str(fields)
    assert "error" not in plain


def test_a_trace_names_the_innermost_frames_first() -> None:
    """Of a long trace the innermost frames are kept."""

    def inner(depth: int) -> None:
        if depth:
            inner(depth - 1)
        raise KeyError("canary")

    with pytest.raises(KeyError) as caught:
        inner(30)
    fields = exception_fields(caught.value)
    assert fields["error"] == "KeyError"
    text = str(fields["trace"])
    assert text.startswith("test_stdlib_handler.py:")
    assert text.count(" < ") == 7
    assert len(text) <= 256


def test_an_exception_that_was_never_raised_has_no_trace() -> None:
    """There is nothing to show."""
    assert trace(None) == ""
