"""The codes and the data that clients of workspaces are told."""

import pytest

from portward.dialects.socketio import words
from portward.model.approval import Approval, Decision, Verdict
from portward.model.channel import Channel
from portward.model.endings import Ending
from portward.model.faults import RATE_FAULTS, Fault, FaultKind

ROOM = Channel.parse("workspaces:w1:approvals")
ASKED = Approval(id="r", channel=ROOM, title="T", data=[1], created_at=1.0, expires_at=2.5)


def test_rooms() -> None:
    """A channel is known to clients as a room of its workspace."""
    assert words.room(ROOM) == "workspace:w1:approvals"


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (Ending.AUTH_FAILED, "INVALID_TOKEN"),
        (Ending.EXPIRED, "EXPIRED"),
        (Ending.REVOKED, "REVOKED"),
        (Ending.AUTH_TIMEOUT, "AUTH_REQUIRED"),
        (Ending.CONNECTION_LIMIT, "TOO_MANY_CONNECTIONS"),
        (Ending.TOO_MANY_REQUESTS, "RATE_LIMITED"),
        (Ending.INTERNAL, "INTERNAL"),
        (Ending.PROTOCOL_ERROR, "PROTOCOL_ERROR"),
        (Ending.TOO_MANY_FAULTS, "TOO_MANY_FAULTS"),
    ],
)
def test_codes_of_endings(ending: Ending, code: str) -> None:
    """Every ending has a code; those of the table have the table's."""
    assert words.ending_code(ending) == code


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (Ending.EXPIRED, "INVALID_TOKEN"),
        (Ending.REVOKED, "INVALID_TOKEN"),
        (Ending.AUTH_FAILED, "INVALID_TOKEN"),
        (Ending.INTERNAL, "UNAVAILABLE"),
        (Ending.CONNECTION_LIMIT, "TOO_MANY_CONNECTIONS"),
    ],
)
def test_codes_at_the_door(ending: Ending, code: str) -> None:
    """Who is not let in hears the codes of the table."""
    assert words.door_code(ending) == code


@pytest.mark.parametrize("kind", FaultKind)
def test_every_fault_has_a_code(kind: FaultKind) -> None:
    """A refusal says its code, and details where the client made a mistake."""
    said = words.refusal(Fault(kind, hint="because", detail="secret"))
    assert said["error"].isupper()
    assert ("details" in said) is (said["error"] == words.VALIDATION_ERROR)
    assert "secret" not in str(said)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(FaultKind.PERMISSION_DENIED), {"error": "PERMISSION_DENIED"}),
        (Fault(FaultKind.PERMISSION_DENIED, about="w1:x"), {"error": "ACCESS_DENIED"}),
        (Fault(FaultKind.UNKNOWN_CHANNEL, about="w1:x"), {"error": "ACCESS_DENIED"}),
        (Fault(FaultKind.ALREADY_DECIDED), {"error": "ALREADY_DECIDED"}),
        (
            Fault(FaultKind.INVALID_STRUCTURE, hint="why"),
            {"error": "VALIDATION_ERROR", "details": "why"},
        ),
        (
            Fault(FaultKind.INVALID_FORMAT),
            {"error": "VALIDATION_ERROR", "details": "Invalid message format"},
        ),
        (
            Fault(FaultKind.RATE_LIMITED, retry_after=12),
            {"error": "RATE_LIMITED", "retryMs": 12},
        ),
        (Fault(FaultKind.UNAVAILABLE), {"error": "UNAVAILABLE"}),
        (Fault(FaultKind.INTERNAL), {"error": "INTERNAL_ERROR"}),
        (Fault(FaultKind.LIMIT_EXCEEDED), {"error": "LIMIT_EXCEEDED"}),
        (Fault(FaultKind.CHANNEL_FULL), {"error": "LIMIT_EXCEEDED"}),
    ],
)
def test_refusals(fault: Fault, said: dict[str, object]) -> None:
    """A refused command is acknowledged with its code and what helps to do better."""
    assert words.refusal(fault) == said


def test_limits_have_one_code() -> None:
    """Whichever limit refuses, the code is the same."""
    assert {words.fault_code(Fault(kind)) for kind in RATE_FAULTS} == {"RATE_LIMITED"}


def test_requests() -> None:
    """A request is told with its title, data, and the moment it expires in milliseconds."""
    assert words.requested(ASKED) == {
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
    assert words.resolved(decided) == said | ({"comment": comment} if comment else {})


def test_no_verdict() -> None:
    """Of a request without one nothing is told but its id."""
    assert words.resolved(ASKED) == {"requestId": "r"}


def test_updates() -> None:
    """An action is told with who did it."""
    assert words.updated("a", {"x": 1}, "ann") == {
        "action": "a", "payload": {"x": 1}, "userId": "ann",
    }  # fmt: skip
