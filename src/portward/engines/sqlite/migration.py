"""Moves what schemas before version 4 had in a table for each kind into those of the key-value port."""

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import msgspec

from portward.engines.json_codec import encode
from portward.engines.port import Key

_MOVED: Final = ("facts", "sessions", "tickets", "revocations", "approvals", "shared", "owners")
_PUT: Final = "INSERT OR REPLACE INTO kept (key, value, until) VALUES (?, ?, ?)"
_INDEX: Final = "INSERT INTO members (list, member, score, record) VALUES (?, ?, ?, ?)"
_RETURNS: Final = msgspec.json.Decoder(dict[str, dict[str, float]])
_APPROVAL: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def to_key_value(db: sqlite3.Connection) -> None:
    """Move all rows, in the transaction that is open."""
    for move in (_facts, _sessions, _revocations, _approvals, _user_state, _returns):
        move(db)
    for table in _MOVED:
        db.execute(f"DROP TABLE {table}")


def _record(
    db: sqlite3.Connection, key: str, until: float, fields: Mapping[str, bytes], cache: int = 0
) -> int:
    row = (key, until, cache)
    number = db.execute("INSERT INTO records (key, until, cache) VALUES (?, ?, ?)", row).lastrowid
    db.executemany(
        "INSERT INTO fields (record, name, value) VALUES (?, ?, ?)",
        [(number, name, value) for name, value in fields.items()],
    )
    return number or 0


def _facts(db: sqlite3.Connection) -> None:
    for user, *sets in db.execute("SELECT user, roles, permissions, workspaces FROM facts"):
        for kind, names in zip(("roles", "permissions", "workspaces"), sets, strict=True):
            if names is None:
                continue
            found = set(msgspec.json.decode(names))
            if kind == "workspaces":
                found.add("")
            if found:
                db.execute(_PUT, (f"user_{kind}:{user}", encode(sorted(found)), None))


def _sessions(db: sqlite3.Connection) -> None:
    columns = "SELECT id, nonce, client, until, identity FROM sessions"
    for session, nonce, client, until, identity in db.execute(columns):
        record = {
            "id": session,
            "identity": msgspec.Raw(identity),
            "nonce": nonce,
            "client": client,
        }
        fields = {"record": encode(record), "nonce": nonce.encode(), "client": client.encode()}
        _record(db, f"ws_session:{session}", until, fields)
    for digest, until, identity in db.execute("SELECT digest, until, identity FROM tickets"):
        db.execute(_PUT, (f"ticket:{digest}", identity, until))


def _revocations(db: sqlite3.Connection) -> None:
    for kind, value, at, until in db.execute("SELECT kind, value, at, until FROM revocations"):
        name = f"{kind}:{value}"
        fields = {"at": repr(at).encode(), "until": repr(until).encode()}
        number = _record(db, f"{{revoked}}:{name}", until, fields)
        for list_, score in (("at", at), ("until", until)):
            db.execute(_INDEX, (f"{{revoked}}:{list_}", name, score, number))


def _approvals(db: sqlite3.Connection) -> None:
    kept = 86400.0
    rows = db.execute("SELECT id, channel, expires_at, body FROM approvals ORDER BY number")
    for approval, channel, expires, body in rows:
        request = _APPROVAL.decode(body)
        verdict = bytes(request.pop("verdict", b"null"))
        fields = {"request": encode(request), "expires": repr(expires).encode()}
        if verdict != b"null":
            fields["verdict"] = verdict
        number = _record(db, f"{{approvals}}:{approval}", expires + kept, fields)
        if verdict == b"null":
            waiting = f"{{approvals}}-waiting:{channel}"
            db.execute(_INDEX, (waiting, approval, expires, number))


def _user_state(db: sqlite3.Connection) -> None:
    for owner, name, until in db.execute("SELECT number, owner, until FROM owners ORDER BY number"):
        group = f"{{shared:{name}}}"
        values = "SELECT key, version, turn, body FROM shared WHERE owner = ? ORDER BY turn"
        rows = db.execute(values, (owner,)).fetchall()
        fields = {key: b"%d %s" % (version, body) for key, version, _, body in rows}
        number = _record(db, f"{group}:values", until, fields, cache=1)
        db.executemany(_INDEX, [(f"{group}:turns", key, turn, number) for key, _, turn, _ in rows])


def _returns(db: sqlite3.Connection) -> None:
    row = db.execute("SELECT value FROM kept WHERE key = 'returns'").fetchone()
    if row is None:
        return
    with suppress(msgspec.DecodeError):  # unreadable is treated as absent
        users = _RETURNS.decode(row[0])
        dumped = [
            (Key(f"returns:{user}"), {channel: (until, b"") for channel, until in each.items()})
            for user, each in users.items()
        ]
        db.execute(_PUT, ("leases", encode(dumped), None))
    db.execute("DELETE FROM kept WHERE key = 'returns'")
