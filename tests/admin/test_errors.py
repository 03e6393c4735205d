import pytest

from portward.admin.errors import STATUSES, ApiError, bad_request, explain, unexpected
from portward.engines.port import EngineUnavailable
from portward.model.errors import CommandError, ErrorKind


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_fault_has_a_status_and_its_number(kind: ErrorKind) -> None:
    """Each kind of fault becomes an error status with Centrifugo's number."""
    error = explain(CommandError(kind))
    assert 400 <= error.status < 600
    assert error.body.code == kind.number
    assert error.body.message == error.body.message.lower()


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (ErrorKind.AUTHENTICATION_FAILED, 400),
        (ErrorKind.INVALID_FORMAT, 400),
        (ErrorKind.UNKNOWN_CHANNEL, 404),
        (ErrorKind.PERMISSION_DENIED, 403),
        (ErrorKind.TOO_LONG, 413),
        (ErrorKind.UNAVAILABLE, 501),
        (ErrorKind.UNRECOVERABLE, 416),
    ],
)
def test_statuses_fit(kind: ErrorKind, status: int) -> None:
    """The status says whose turn it is; a bad token in the body is not a missing API key."""
    assert explain(CommandError(kind)).status == status
    assert 401 not in STATUSES.values()


def test_the_detail_is_for_the_backend() -> None:
    """What a client would not be told, the operator's API is."""
    fault = CommandError(ErrorKind.AUTHENTICATION_FAILED, detail="expired")
    assert explain(fault).body.message == "authentication failed: expired"


def test_an_engine_that_is_away_is_temporary() -> None:
    """An unavailable engine is 503 with the number of what is not available, and worth a retry."""
    error = explain(EngineUnavailable())
    assert (error.status, error.body.code, error.headers) == (503, 108, {"Retry-After": "1"})


def test_an_api_error_stays_itself() -> None:
    """What is in the words of the API already is passed on."""
    error = ApiError(404, 104, "unknown method")
    assert explain(error) is error


def test_an_accident_says_nothing() -> None:
    """The answer to a failure of ours names neither cause nor place."""
    assert (unexpected().status, unexpected().body.code) == (500, 100)
    assert unexpected().body.message == "internal error"


def test_what_the_caller_sent_is_cut_and_cleaned() -> None:
    """A sentence that repeats a field's name carries no control characters and has an end."""
    message = bad_request("field \x1b[31m" + "x" * 1000).body.message
    assert "\x1b" not in message
    assert len(message) < 300
