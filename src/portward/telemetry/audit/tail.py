"""Whether the line a checkpoint was made from is still where it was."""

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
    """What a checkpoint says of a chain that ended at `end` when it was opened.

    `cut`: it went further once; `changed`: the line is another one, or missing; empty: all is well, as
    far as the files reach back. `files` are those of the chain, oldest first; they may have grown.

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
    """The line with a number, with no code when it is missing or bad; None when its file was let go."""
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
