"""The states of a session as a table: an invalid transition raises KeyError."""

from enum import Enum, auto
from typing import Final


class State(Enum):
    """The state of a session. `ENDED` is final."""

    NEW = auto()
    AUTHENTICATED = auto()
    EXPIRING = auto()
    ENDED = auto()


class Transition(Enum):
    """The transitions of a session."""

    ADMIT = auto()
    NOTICE = auto()
    REFRESH = auto()
    END = auto()


TRANSITIONS: Final[dict[tuple[State, Transition], State]] = {
    (State.NEW, Transition.ADMIT): State.AUTHENTICATED,
    (State.NEW, Transition.END): State.ENDED,
    (State.AUTHENTICATED, Transition.ADMIT): State.AUTHENTICATED,
    (State.AUTHENTICATED, Transition.NOTICE): State.EXPIRING,
    (State.AUTHENTICATED, Transition.REFRESH): State.AUTHENTICATED,
    (State.AUTHENTICATED, Transition.END): State.ENDED,
    (State.EXPIRING, Transition.REFRESH): State.AUTHENTICATED,
    (State.EXPIRING, Transition.END): State.ENDED,
}
