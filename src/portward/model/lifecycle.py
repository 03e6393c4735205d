"""The life of a session as a table: an illegal move is a KeyError, not a surprise."""

from enum import Enum, auto
from typing import Final


class State(Enum):
    """Where a session stands. `ENDED` has no way out."""

    NEW = auto()
    AUTHENTICATED = auto()
    EXPIRING = auto()
    ENDED = auto()


class Move(Enum):
    """What can happen to a session."""

    ADMIT = auto()
    NOTICE = auto()
    REFRESH = auto()
    END = auto()


TRANSITIONS: Final[dict[tuple[State, Move], State]] = {
    (State.NEW, Move.ADMIT): State.AUTHENTICATED,
    (State.NEW, Move.END): State.ENDED,
    (State.AUTHENTICATED, Move.ADMIT): State.AUTHENTICATED,
    (State.AUTHENTICATED, Move.NOTICE): State.EXPIRING,
    (State.AUTHENTICATED, Move.REFRESH): State.AUTHENTICATED,
    (State.AUTHENTICATED, Move.END): State.ENDED,
    (State.EXPIRING, Move.REFRESH): State.AUTHENTICATED,
    (State.EXPIRING, Move.END): State.ENDED,
}
