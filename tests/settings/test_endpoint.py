from portward.model.limits import MESSAGE, PING_INTERVAL, PONG_TIME
from portward.settings.endpoint import AuthMode, Credential, Endpoint


def test_the_defaults_are_the_careful_ones() -> None:
    """A bare endpoint wants a token in the first message and compresses nothing."""
    endpoint = Endpoint()
    assert endpoint.auth is AuthMode.TOKEN
    assert endpoint.credentials == (Credential.MESSAGE,)
    assert not endpoint.compression
    assert (endpoint.ping_interval, endpoint.pong_timeout) == (PING_INTERVAL, PONG_TIME)
    assert endpoint.max_message == MESSAGE
