from portward.settings.meta import FieldMeta


def test_a_setting_needs_a_restart_unless_it_says_otherwise() -> None:
    """The careful default: nothing changes under a running gateway by accident."""
    assert not FieldMeta().reload
