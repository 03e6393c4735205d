"""The check that the line of a checkpoint is still in the audit files."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from portward.telemetry.audit.chain import LINE_LIMIT, BadLine, ChainEnd, checkpoint_mac, read
from portward.telemetry.audit.checkpoint import Checkpoint

_SEQ: Final = re.compile(rb'\{"seq":(\d{1,19}),')
CUT: Final = "cut"
CHANGED: Final = "changed"


def betrays(checkpoint: Checkpoint, end: ChainEnd, key: bytes, files: Sequence[Path]) -> str:
    """Compare a checkpoint with a chain that ended at `end` when it was opened.

    Returns `cut` when the chain was longer once, `changed` when the line is another one or missing, and empty
    when no problem was found, as far as the files reach back. `files` are those of the chain, oldest first;
    they may have grown.

    Raises:
        OSError: a file cannot be read.
    """
    if checkpoint.seq > end.seq:
        return CUT
    link = end if checkpoint.seq == end.seq else _find(files, key, checkpoint.seq)
    if link is None or checkpoint_mac(key, link) == checkpoint.mac:
        return ""
    return CHANGED


def _find(files: Sequence[Path], key: bytes, seq: int) -> ChainEnd | None:
    """Find a line by number: without a MAC when missing or bad, None when its file was deleted."""
    for path in reversed(files):
        with path.open("rb") as file:
            first = _SEQ.match(file.readline(LINE_LIMIT))
            if first is None or int(first[1]) > seq:
                continue
            file.seek(0)
            start = b'{"seq":%d,' % seq
            while raw := file.readline(LINE_LIMIT):
                if raw.startswith(start):
                    return _sound(key, raw)
        return ChainEnd(seq, "")
    return None


def _sound(key: bytes, raw: bytes) -> ChainEnd:
    try:
        return read(key, raw.rstrip(b"\n")).link
    except BadLine:
        return ChainEnd(0, "")
