"""A voice puts a push into words and a frame."""

from portward.hub.encoder import Encoder
from portward.model.replies import ShuttingDown, Welcome
from portward.wire import message as wire
from portward.wire.message import WireMessage
from tests.hub.subscribers import Payload


class Silent:
    """A dialect without words."""

    def push(self, push: object, now: int) -> None:  # noqa: ARG002 - the port
        """Nothing."""
        return


def test_says_with_the_time() -> None:
    """A push is put into words with the time of now, then framed."""
    encoder = Encoder("rooms", Payload("!"), wire.PLAIN.text, lambda: 0.042)
    message = encoder.encode(Welcome(connection_id="c"))
    assert isinstance(message, WireMessage)
    assert message.payloads == (b"!Welcome@42",)
    assert not message.binary


def test_no_words() -> None:
    """What a dialect has no word for is no message."""
    assert (
        Encoder("echo", Silent(), wire.PLAIN.text, lambda: 0).encode(ShuttingDown(retry=1)) is None
    )


def test_voices_are_never_equal() -> None:
    """Two voices of the same dialect are two keys."""
    words = Payload()
    first, second = (Encoder("rooms", words, wire.PLAIN.text, lambda: 0) for _ in range(2))
    assert len({first, second, first}) == 2
