from portward.model.limits import MESSAGE, OUTBOX_BYTES, PING_INTERVAL, PONG_TIME
from portward.settings.endpoint import AuthMode, CredentialSource, EndpointSettings


def test_the_defaults_are_the_careful_ones() -> None:
    """A bare endpoint wants a token in the first message and compresses nothing."""
    endpoint = EndpointSettings()
    assert endpoint.auth is AuthMode.TOKEN
    assert endpoint.credentials == (CredentialSource.MESSAGE,)
    assert not endpoint.compression
    assert (endpoint.ping_interval, endpoint.pong_timeout) == (PING_INTERVAL, PONG_TIME)
    assert endpoint.max_message == MESSAGE
    assert endpoint.backpressure_threshold == OUTBOX_BYTES
    assert (endpoint.farewell, endpoint.reconnect_url) == (0.0, "")
    assert endpoint.allow_missing_origin is None


def test_an_endpoint_knows_whether_it_takes_cookies() -> None:
    """Among other credentials as well."""
    assert not EndpointSettings().takes_cookies
    assert EndpointSettings(
        credentials=(CredentialSource.MESSAGE, CredentialSource.COOKIE)
    ).takes_cookies
