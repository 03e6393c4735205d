import portward.settings


def test_the_public_names_exist() -> None:
    """Everything that is announced can be imported, in order."""
    names = portward.settings.__all__
    assert names == sorted(names)
    assert all(hasattr(portward.settings, name) for name in names)
