"""What requests are made of."""

from portward.admin.requests import RevokeRequest, TicketRequest


def test_tokens_are_not_shown() -> None:
    """The repr of a request that holds a token does not."""
    assert "secret" not in repr(RevokeRequest(token="secret"))
    assert "secret" not in repr(TicketRequest(token="secret"))
