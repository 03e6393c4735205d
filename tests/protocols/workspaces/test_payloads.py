"""The codes and the data that clients of workspaces are told."""

import pytest

from portward.model.approval import Approval, Decision, Verdict
from portward.model.channel import Channel
from portward.model.disconnects import Disconnect
from portward.model.errors import RATE_FAULTS, CommandError, ErrorKind
from portward.protocols.socketio import codes
from portward.protocols.workspaces import payloads

ROOM = Channel.parse("workspaces:w1:approvals")
ASKED = Approval(id="r", channel=ROOM, title="T", data=[1], created_at=1.0, expires_at=2.5)


def test_rooms() -> None:
    """A channel is known to clients as a room of its workspace."""
    assert payloads.room(ROOM) == "workspace:w1:approvals"


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (Disconnect.AUTH_FAILED, "INVALID_TOKEN"),
        (Disconnect.EXPIRED, "EXPIRED"),
        (Disconnect.REVOKED, "REVOKED"),
        (Disconnect.AUTH_TIMEOUT, "AUTH_REQUIRED"),
        (Disconnect.CONNECTION_LIMIT, "TOO_MANY_CONNECTIONS"),
        (Disconnect.TOO_MANY_REQUESTS, "RATE_LIMITED"),
        (Disconnect.INTERNAL, "INTERNAL"),
        (Disconnect.PROTOCOL_ERROR, "PROTOCOL_ERROR"),
        (Disconnect.TOO_MANY_FAULTS, "TOO_MANY_FAULTS"),
    ],
)
def test_codes_of_endings(ending: Disconnect, code: str) -> None:
    """Every ending has a code; those of the table have the table's."""
    assert codes.ending_code(ending) == code


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (Disconnect.EXPIRED, "INVALID_TOKEN"),
        (Disconnect.REVOKED, "INVALID_TOKEN"),
        (Disconnect.AUTH_FAILED, "INVALID_TOKEN"),
        (Disconnect.INTERNAL, "UNAVAILABLE"),
        (Disconnect.CONNECTION_LIMIT, "TOO_MANY_CONNECTIONS"),
    ],
)
def test_codes_at_the_door(ending: Disconnect, code: str) -> None:
    """Who is not let in hears the codes of the table."""
    assert codes.admission_code(ending) == code


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_fault_has_a_code(kind: ErrorKind) -> None:
    """A refusal says its code, and details where the client made a mistake."""
    said = codes.refusal(CommandError(kind, hint="because", detail="secret"))
    assert said["error"].isupper()
    assert ("details" in said) is (said["error"] == codes.VALIDATION_ERROR)
    assert "secret" not in str(said)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (CommandError(ErrorKind.PERMISSION_DENIED), {"error": "PERMISSION_DENIED"}),
        (CommandError(ErrorKind.PERMISSION_DENIED, about="w1:x"), {"error": "ACCESS_DENIED"}),
        (CommandError(ErrorKind.UNKNOWN_CHANNEL, about="w1:x"), {"error": "ACCESS_DENIED"}),
        (CommandError(ErrorKind.ALREADY_DECIDED), {"error": "ALREADY_DECIDED"}),
        (
            CommandError(ErrorKind.INVALID_STRUCTURE, hint="why"),
            {"error": "VALIDATION_ERROR", "details": "why"},
        ),
        (
            CommandError(ErrorKind.INVALID_FORMAT),
            {"error": "VALIDATION_ERROR", "details": "Invalid message format"},
        ),
        (
            CommandError(ErrorKind.RATE_LIMITED, retry_after=12),
            {"error": "RATE_LIMITED", "retryMs": 12},
        ),
        (CommandError(ErrorKind.UNAVAILABLE), {"error": "UNAVAILABLE"}),
        (CommandError(ErrorKind.INTERNAL), {"error": "INTERNAL_ERROR"}),
        (CommandError(ErrorKind.LIMIT_EXCEEDED), {"error": "LIMIT_EXCEEDED"}),
        (CommandError(ErrorKind.CHANNEL_FULL), {"error": "LIMIT_EXCEEDED"}),
    ],
)
def test_refusals(fault: CommandError, said: dict[str, object]) -> None:
    """A refused command is acknowledged with its code and what helps to do better."""
    assert codes.refusal(fault) == said


def test_limits_have_one_code() -> None:
    """Whichever limit refuses, the code is the same."""
    assert {codes.fault_code(CommandError(kind)) for kind in RATE_FAULTS} == {"RATE_LIMITED"}


def test_requests() -> None:
    """A request is told with its title, data, and the moment it expires in milliseconds."""
    assert payloads.requested(ASKED) == {
        "requestId": "r", "title": "T", "data": [1], "expiresAt": 2500,
    }  # fmt: skip


@pytest.mark.parametrize("comment", [None, "c"])
def test_verdicts(comment: str | None) -> None:
    """A verdict is told with who gave it, and what they wrote, if anything."""
    verdict = Verdict(decision=Decision.APPROVE, user="ann", at=1.5, comment=comment)
    decided = Approval(
        id="r", channel=ROOM, title="T", data=None, created_at=1.0, expires_at=2.0, verdict=verdict
    )
    said = {"requestId": "r", "decision": "approve", "userId": "ann"}
    assert payloads.resolved(decided) == said | ({"comment": comment} if comment else {})


def test_no_verdict() -> None:
    """Of a request without one nothing is told but its id."""
    assert payloads.resolved(ASKED) == {"requestId": "r"}


def test_updates() -> None:
    """An action is told with who did it."""
    assert payloads.updated("a", {"x": 1}, "ann") == {
        "action": "a", "payload": {"x": 1}, "userId": "ann",
    }  # fmt: skip
