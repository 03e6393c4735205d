"""Socket.IO, protocol 5, in a few lines of its own: what the protocol's packets are compared with."""

import json
from typing import Any, NamedTuple

PLAIN = {2: 5, 3: 6}
"""The type of a packet with attachments, by that of the same without."""


class Said(NamedTuple):
    """One packet."""

    kind: int
    nsp: str = "/"
    id: int | None = None
    data: Any = None
    blobs: tuple[bytes, ...] = ()


def encode(said: Said) -> tuple[bytes, list[bytes]]:
    """The text of a packet and its attachments."""
    blobs: list[bytes] = []
    data = _out(said.data, blobs)
    kind = f"{PLAIN[said.kind]}{len(blobs)}-" if blobs else str(said.kind)
    place = "" if said.nsp == "/" else said.nsp + ","
    number = "" if said.id is None else str(said.id)
    text = "" if data is None else json.dumps(data, ensure_ascii=False)
    return f"{kind}{place}{number}{text}".encode(), blobs


def decode(text: bytes, *blobs: bytes) -> Said:
    """What a packet says, its attachments put back."""
    rest = text.decode()
    kind, rest = int(rest[0]), rest[1:]
    if kind in PLAIN.values():
        count, _, rest = rest.partition("-")
        assert int(count) == len(blobs)
        kind -= 3
    nsp = "/"
    if rest.startswith("/"):
        nsp, _, rest = rest.partition(",")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    number = int(rest[:digits]) if digits else None
    data = json.loads(rest[digits:]) if rest[digits:] else None
    return Said(kind, nsp, number, _in(data, blobs))


def _out(value: Any, blobs: list[bytes]) -> Any:
    match value:
        case bytes():
            blobs.append(value)
            return {"_placeholder": True, "num": len(blobs) - 1}
        case list():
            return [_out(each, blobs) for each in value]
        case dict():
            return {key: _out(each, blobs) for key, each in value.items()}
    return value


def _in(value: Any, blobs: tuple[bytes, ...]) -> Any:
    match value:
        case {"_placeholder": True, "num": int(number)}:
            return blobs[number]
        case list():
            return [_in(each, blobs) for each in value]
        case dict():
            return {key: _in(each, blobs) for key, each in value.items()}
    return value
