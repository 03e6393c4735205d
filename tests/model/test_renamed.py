"""Older public names work for one release."""

from importlib import import_module

import pytest

OLDER = [
    ("portward", "Fault", "portward.model.errors", "CommandError"),
    ("portward", "FaultKind", "portward.model.errors", "ErrorKind"),
    ("portward.model.faults", "Fault", "portward.model.errors", "CommandError"),
    ("portward.model.faults", "FaultKind", "portward.model.errors", "ErrorKind"),
    ("portward.model.endings", "Ending", "portward.model.disconnects", "Disconnect"),
    ("portward.model.refusals", "Refusal", "portward.model.handshake_errors", "HandshakeRejection"),
    ("portward.model.refusals", "Refused", "portward.model.handshake_errors", "HandshakeRejected"),
    ("portward.dialects.port", "Dialect", "portward.protocols.base", "ClientProtocol"),
    ("portward.dialects.base", "Dialect", "portward.protocols.base", "ClientProtocol"),
    (
        "portward.dialects.alerts",
        "AlertsDialect",
        "portward.protocols.alerts.protocol",
        "AlertsProtocol",
    ),
    ("portward.dialects.echo", "EchoDialect", "portward.protocols.echo", "EchoProtocol"),
    ("portward.dialects.live", "LiveDialect", "portward.protocols.live.protocol", "LiveProtocol"),
    (
        "portward.dialects.relay",
        "RelayDialect",
        "portward.protocols.relay.protocol",
        "RelayProtocol",
    ),
    (
        "portward.dialects.rooms",
        "RoomsDialect",
        "portward.protocols.rooms.protocol",
        "RoomsProtocol",
    ),
    (
        "portward.dialects.socketio",
        "SocketIoDialect",
        "portward.protocols.workspaces.protocol",
        "WorkspacesProtocol",
    ),
    ("portward.model.alert", "Alert", "portward.protocols.alerts.record", "Alert"),
    ("portward.app.alerts", "Alerts", "portward.protocols.alerts.api", "Alerts"),
    (
        "portward.app.analysis",
        "EngineConnection",
        "portward.protocols.alerts.engine_connection",
        "EngineConnection",
    ),
    ("portward.app.live", "Live", "portward.protocols.live.api", "Live"),
    ("portward.app.rooms", "RoomStats", "portward.protocols.rooms.api", "RoomStats"),
    (
        "portward.app.workspaces",
        "SocketNamespace",
        "portward.protocols.workspaces.api",
        "SocketNamespace",
    ),
    ("portward.dialects.strict_json", "parse", "portward.security.strict_json", "parse"),
]


@pytest.mark.parametrize(("module", "old", "home", "new"), OLDER)
def test_an_older_name_is_the_new_thing(module: str, old: str, home: str, new: str) -> None:
    """The older name gives the very object, and warns with the place of the new one."""
    with pytest.warns(DeprecationWarning, match=rf"{module}\.{old} is now {home}\.{new}"):
        found = getattr(import_module(module), old)
    assert found is getattr(import_module(home), new)


@pytest.mark.parametrize("module", sorted({row[0] for row in OLDER}))
def test_an_unknown_name_is_missing(module: str) -> None:
    """Any other name fails as in every module."""
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = import_module(module).Nothing
