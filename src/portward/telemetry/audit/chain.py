"""One line of the audit file, and its link to the line before.

    {"seq":7,"time":"...","event":"auth.fail","fields":{...},"prev":"<hex>","mac":"<hex>"}

`prev` is the `mac` of the line before, `mac` is HMAC-SHA256(key, prev + the line without `mac`).
The MAC covers the bytes as they were written; a line is parsed only after its MAC was checked.
"""

import hashlib
import hmac
import json
from typing import Any, Final, NamedTuple

import msgspec

_DIGITS: Final = 64
NO_MAC: Final = "0" * _DIGITS
LINE_LIMIT: Final = 64 * 1024
"""The most bytes of a line; the gateway writes no longer ones."""
_BEFORE: Final = b',"mac":"'
_AFTER: Final = b'"}'
_TAIL: Final = len(_BEFORE) + _DIGITS + len(_AFTER)
_PREV: Final = slice(-_TAIL - 1 - _DIGITS, -_TAIL - 1)
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False)


class ChainEnd(NamedTuple):
    """The current end of a chain: the number and the MAC of the last line."""

    seq: int
    mac: str


START: Final = ChainEnd(0, NO_MAC)


class AuditEntry(msgspec.Struct, frozen=True):
    """A security event. `seq` counts from 1, `time` is UTC as in the log."""

    seq: int
    time: str
    event: str
    fields: dict[str, Any]


class AuditLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A complete line of the file."""

    seq: int
    time: str
    event: str
    fields: dict[str, Any]
    prev: str
    mac: str

    @property
    def link(self) -> ChainEnd:
        """The number and the MAC that the next line links to."""
        return ChainEnd(self.seq, self.mac)

    @property
    def entry(self) -> AuditEntry:
        """The event in the line."""
        return AuditEntry(self.seq, self.time, self.event, self.fields)


_DECODER: Final = msgspec.json.Decoder(AuditLine)


class BadLine(ValueError):  # noqa: N818 - a finding about a file, not an error of the program
    """A line is not as it was written; the text describes the difference."""


def seal(key: bytes, prev: bytes, body: bytes) -> bytes:
    """Return the MAC of a line: `body` is the line without its `mac`."""
    return hmac.digest(key, prev + body, hashlib.sha256).hex().encode("ascii")


def sign_line(key: bytes, last: ChainEnd, entry: AuditEntry) -> tuple[bytes, ChainEnd]:
    """Make the line (with its line feed) that records `entry` after `last`; returns it and the new end."""
    record = {
        "seq": entry.seq,
        "time": entry.time,
        "event": entry.event,
        "fields": entry.fields,
        "prev": last.mac,
    }
    body = _ENCODER.encode(record).encode("ascii")
    mac = seal(key, last.mac.encode("ascii"), body)
    return body[:-1] + _BEFORE + mac + _AFTER + b"\n", ChainEnd(entry.seq, mac.decode("ascii"))


def read(key: bytes, raw: bytes) -> AuditLine:
    """Check the MAC of one line (without its line feed) and parse it.

    Raises:
        BadLine: the line was changed, or written with another key.
    """
    head, tail = raw[:-_TAIL], raw[-_TAIL:]
    if not (tail.startswith(_BEFORE) and tail.endswith(_AFTER)):
        raise BadLine("not a line of an audit file")
    mac = tail[len(_BEFORE) : -len(_AFTER)]
    if not hmac.compare_digest(seal(key, raw[_PREV], head + b"}"), mac):
        raise BadLine("changed, or written with another key")
    return _DECODER.decode(raw)


def checkpoint_mac(key: bytes, link: ChainEnd) -> str:
    """Return the MAC of a checkpoint; it needs the key and cannot be computed from the file alone."""
    text = f"checkpoint:{link.seq}:{link.mac}"
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()
