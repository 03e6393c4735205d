from portward.settings.errors import SettingsError


def test_an_error_is_one_line() -> None:
    """Line breaks of what is quoted do not reach the operator."""
    assert str(SettingsError("server.port:\n  wrong\r\n")) == "server.port: wrong"
