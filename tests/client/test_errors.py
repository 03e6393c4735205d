import pytest

from portward.client.errors import (
    AuthenticationRefused,
    ConnectFailed,
    ConnectionLost,
    Ended,
    HandshakeRefused,
    NoAnswer,
    RequestRefused,
)


@pytest.mark.parametrize(
    ("status", "temporary"), [(401, False), (403, False), (429, True), (503, True)]
)
def test_handshake_status_says_whether_to_try_again(status: int, temporary: bool) -> None:
    """A handshake refused for now is worth another try; one refused for what it is, is not."""
    refused = HandshakeRefused(status, 3.0)
    assert (refused.temporary, refused.retry_after) == (temporary, 3.0)
    assert f"status {status}: " in str(refused)


@pytest.mark.parametrize("status", [408, 425, 500, 501, 502, 504, 520, 522, 530, 599])
def test_a_server_that_is_away_may_come_back(status: int) -> None:
    """Every status from 500 on may pass, those that only proxies have too."""
    assert HandshakeRefused(status).temporary


def test_unknown_status_has_no_meaning() -> None:
    """A status nobody expects is named alone."""
    assert str(HandshakeRefused(418)) == "the handshake was refused with status 418"


@pytest.mark.parametrize(
    ("refused", "temporary"),
    [
        (RequestRefused("unavailable", "Temporarily unavailable"), True),
        (RequestRefused("join_rate_limited", "Join rate limit exceeded", 1.5), True),
        (RequestRefused("permission_denied", "Insufficient permissions"), False),
        (AuthenticationRefused("token_revoked", "Token has been revoked"), False),
    ],
)
def test_request_says_whether_to_try_again(refused: RequestRefused, temporary: bool) -> None:
    """A refusal by a limit, or for want of the engine, passes; one for want of a right does not."""
    assert refused.temporary is temporary


def test_broken_connections_pass() -> None:
    """Nobody there, a lost connection and no answer are worth another try."""
    assert all(each("x").temporary for each in (ConnectFailed, ConnectionLost, NoAnswer))


def test_ending_has_words() -> None:
    """An ending reads as its reason, or else as its code."""
    assert [str(Ended(3503, "force disconnect")), str(Ended(1009, ""))] == [
        "force disconnect",
        "closed with code 1009",
    ]
