"""How much is measured: the figures' own sizes, or a tiny version that only proves the bench."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True)
class Scale:
    """Sizes of every figure. Rates are a second, times in seconds."""

    rounds: int = 3
    settle: float = 0.5
    # P1: so many subscribers, publications and publications a second.
    subscribers: int = 1000
    messages: int = 200
    rate: float = 40.0
    # P3: connections before the measured ones, measured ones, and their rate.
    warm: int = 200
    handshakes: int = 2000
    handshake_rate: float = 400.0
    # P4: connections held at the points where memory is read, and the time before it is.
    held: tuple[int, ...] = (100, 1000, 10_000)
    rest: float = 3.0
    # P5: users, messages of all of them together, and the rate of these.
    speakers: int = 100
    spoken: int = 20_000
    speech_rate: float = 5000.0
    # P7: (subscribers, publications, rate), and channels beside the measured one.
    crowds: tuple[tuple[int, int, float], ...] = (
        (100, 400, 80.0),
        (1000, 200, 40.0),
        (10_000, 20, 4.0),
    )
    bystanders: int = 2000
    channels: tuple[int, ...] = (1, 1000, 100_000)

    def with_rounds(self, rounds: int) -> Self:
        """The same sizes, measured so many times."""
        return replace(self, rounds=rounds)


FULL = Scale()
QUICK = Scale(
    rounds=1,
    settle=0.0,
    subscribers=20,
    messages=5,
    rate=50.0,
    warm=2,
    handshakes=10,
    handshake_rate=200.0,
    held=(5, 10, 20),
    rest=0.0,
    speakers=2,
    spoken=20,
    speech_rate=200.0,
    crowds=((5, 5, 50.0), (20, 5, 50.0)),
    bystanders=4,
    channels=(1, 4, 12),
)
