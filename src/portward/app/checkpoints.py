"""The checkpoint that the engine has of an audit file, for those who check the file from outside."""

import socket
from pathlib import Path
from typing import Final

from portward.app.engines import make_engine
from portward.app.workers.worker import node_name
from portward.node.clock import LoopClock
from portward.settings import Settings
from portward.telemetry import Checkpoint
from portward.telemetry.audit.checkpoint import from_text, note_key

SQLITE: Final = "sqlite:"


async def engine_checkpoint(settings: Settings, file: Path, node: str = "") -> Checkpoint | None:
    """The newest checkpoint of an audit file that its node has put into the engine.

    `node` is the node's name when it is not the one these settings make on this machine. None: there is
    no checkpoint of that file and node. An SQLite file is read beside a gateway that has it open.

    Raises:
        ValueError: the engine keeps nothing, its address is malformed, or its file cannot be used.
        EngineUnavailable: nobody answers.
        AuditError: what the engine has is no checkpoint of this file.
    """
    key = note_key(file.name, node or node_of(settings, file))
    url = settings.engine_url
    if url.startswith("memory:"):
        raise ValueError("the engine memory:// keeps no checkpoints")
    text = _stored(url, key) if url.startswith(SQLITE) else await _asked(settings, key)
    return from_text(text, file.name, key) if text is not None else None


def node_of(settings: Settings, file: Path) -> str:
    """The name under which the gateway that writes this file knows itself on this machine."""
    server, machine = settings.server, socket.gethostname()
    if server.workers == 1:
        return server.instance_id or machine
    number = file.name.removeprefix(f"{Path(settings.audit.file).name}.")
    name = server.instance_id or f"{machine}-{server.port}"
    return node_name(name, int(number) if number.isdigit() else 0)


def _stored(url: str, key: str) -> str | None:
    from portward.engines.sqlite import sqlite_path, stored_note  # noqa: PLC0415 - others need it not

    return stored_note(sqlite_path(url), key)


async def _asked(settings: Settings, key: str) -> str | None:
    """Ask a store at the other end of a connection, without becoming one of its nodes."""
    engine = make_engine(settings, LoopClock())
    try:
        return await engine.notes.get(key)
    finally:
        await engine.stop()
