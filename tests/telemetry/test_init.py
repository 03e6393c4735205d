import portward.telemetry


def test_every_public_name_can_be_imported() -> None:
    """What is announced exists, in order."""
    names = portward.telemetry.__all__
    assert names == sorted(names)
    assert all(hasattr(portward.telemetry, name) for name in names)
