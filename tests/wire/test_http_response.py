import pytest

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.wire import http_response


def lines(response: bytes) -> list[str]:
    """The lines of a head."""
    head, _, _ = response.partition(b"\r\n\r\n")
    return head.decode().split("\r\n")


def test_an_answer_closes_the_connection_and_counts_its_body() -> None:
    """A small answer has its headers, its length and its end."""
    response = http_response.answer(200, [("Content-Type", "application/json")], b"{}")

    assert lines(response) == [
        "HTTP/1.1 200 OK",
        "Content-Type: application/json",
        "Content-Length: 2",
        "Connection: close",
    ]
    assert response.endswith(b"\r\n\r\n{}")


def test_an_answer_to_head_has_no_body_but_its_length() -> None:
    """HEAD is told what GET would have been."""
    response = http_response.answer(200, body=b"{}", head_only=True)

    assert "Content-Length: 2" in lines(response)
    assert response.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("refusal", list(HandshakeRejection))
def test_every_refusal_is_an_empty_answer_with_its_headers(refusal: HandshakeRejection) -> None:
    """Each row of the table becomes a response without a body."""
    response = http_response.refusal(HandshakeRejected(refusal, "for the log"), lambda: 0.0)

    assert lines(response)[0].startswith(f"HTTP/1.1 {refusal.status} ")
    assert {"Content-Length: 0", "Connection: close"} <= set(lines(response))
    assert {f"{name}: {value}" for name, value in refusal.headers} <= set(lines(response))
    assert ("Retry-After" in response.decode()) is refusal.retry
    assert response.endswith(b"\r\n\r\n")
    assert b"log" not in response


@pytest.mark.parametrize(
    ("least", "random", "seconds"),
    [(None, 0.0, 5), (None, 0.99, 10), (0.0, 0.5, 1), (30.0, 0.0, 30), (30.0, 0.5, 45)],
)
def test_the_time_to_come_back_is_spread(least: float | None, random: float, seconds: int) -> None:
    """Retry-After lies between once and twice the least time, in whole seconds."""
    refused = HandshakeRejected(HandshakeRejection.RATE, retry_after=least)

    assert f"Retry-After: {seconds}" in lines(http_response.refusal(refused, lambda: random))


def test_the_upgrade_is_answered_with_101() -> None:
    """The switch names the accept value and nothing that was not agreed."""
    assert lines(http_response.switching("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) == [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    ]


def test_what_was_agreed_is_confirmed() -> None:
    """Extension and subprotocol are answered where there is one."""
    response = http_response.switching("x", extension="permessage-deflate", subprotocol="chat")

    assert "Sec-WebSocket-Extensions: permessage-deflate" in lines(response)
    assert "Sec-WebSocket-Protocol: chat" in lines(response)
