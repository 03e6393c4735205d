"""The engine's checkpoint of an audit file, for a check of the file outside of the gateway."""

import socket
from pathlib import Path
from typing import Final

from portward.app.build import make_engine
from portward.app.workers.worker import node_name
from portward.engines.port import Key
from portward.node.sessions import LoopClock
from portward.settings import Settings
from portward.telemetry import Checkpoint
from portward.telemetry.audit.checkpoint import from_text, note_key

SQLITE: Final = "sqlite:"


async def engine_checkpoint(settings: Settings, file: Path, node: str = "") -> Checkpoint | None:
    """Read the newest checkpoint of an audit file that its node has stored in the engine.

    `node` is the node's name; empty for the name that these settings give on this machine. None means that
    there is no checkpoint of that file and node. An SQLite file can be read while a gateway has it open.

    Raises:
        ValueError: the engine stores nothing, its address is malformed, or its file cannot be used.
        EngineUnavailable: the engine does not answer.
        AuditError: the stored value is no checkpoint of this file.
    """
    key = note_key(file.name, node or node_of(settings, file))
    url = settings.engine_url
    if url.startswith("memory:"):
        raise ValueError("the engine memory:// keeps no checkpoints")
    entry = Key(key)
    kept = _stored(url, entry) if url.startswith(SQLITE) else await _asked(settings, entry)
    return from_text(kept.decode("utf-8", "replace"), file.name, key) if kept is not None else None


def node_of(settings: Settings, file: Path) -> str:
    """Return the node name of the gateway that writes this file on this machine."""
    server, machine = settings.server, socket.gethostname()
    if server.workers == 1:
        return server.instance_id or machine
    number = file.name.removeprefix(f"{Path(settings.audit.file).name}.")
    name = server.instance_id or f"{machine}-{server.port}"
    return node_name(name, int(number) if number.isdigit() else 0)


def _stored(url: str, key: Key) -> bytes | None:
    from portward.engines.sqlite import sqlite_path, stored_value  # noqa: PLC0415 - only for SQLite

    return stored_value(sqlite_path(url), key)


async def _asked(settings: Settings, key: Key) -> bytes | None:
    """Ask a remote store, without registering as one of its nodes."""
    engine = make_engine(settings, LoopClock())
    try:
        return await engine.kv.get(key)
    finally:
        await engine.stop()
