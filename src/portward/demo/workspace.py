"""A simulated shop whose figures change, and which asks its people to approve something now and then."""

from collections.abc import Callable
from random import Random
from typing import Final, TypeAlias

from portward.model.clock import Clock, Timer

Tell: TypeAlias = Callable[[str, object, str], None]
"""Takes a room or a workspace, the data, and the event or the title; does not wait."""

WORKSPACE: Final = "w1"
FIGURES: Final = "figures"
"""The event that tells of the figures."""
PACE: Final = 2.0
"""Seconds between two figures."""
ASKING: Final = 20.0
"""Seconds between two requests for approval."""
PATIENCE: Final = 180.0
"""Seconds in which one of them can be decided."""
_FIRST: Final = 3.0
_REASONS: Final = ("arrived broken", "never arrived", "ordered twice", "wrong size")
_ORDERS: Final = 3
_AMOUNTS: Final = (9, 120)


class SimulatedWorkspace:
    """Tells the dashboard of `workspace` its figures, and asks for approvals, while it is started."""

    def __init__(
        self,
        clock: Clock,
        random: Random,
        emit: Tell,
        ask: Tell,
        *,
        workspace: str = WORKSPACE,
    ) -> None:
        self._clock = clock
        self._random = random
        self._emit = emit
        self._ask = ask
        self._workspace = workspace
        self._room = f"workspace:{workspace}:dashboard"
        self._timers: dict[str, Timer] = {}
        self._order = 1000
        self._orders = self._revenue = 0

    @property
    def figures(self) -> dict[str, int]:
        """The figures of now."""
        return {"orders": self._orders, "revenue": self._revenue}

    def start(self) -> None:
        """Open the shop."""
        self._timers["sell"] = self._clock.call_later(PACE, self._sell)
        self._timers["refund"] = self._clock.call_later(_FIRST, self._refund)

    def stop(self) -> None:
        """Close it."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def act(self, action: str) -> dict[str, int] | None:
        """What users may do: `reset` the figures. They are told at once, as for any other action."""
        if action == "reset":
            self._orders = self._revenue = 0
        elif action != "refresh":
            return None
        self._tell()
        return self.figures

    def _tell(self) -> None:
        self._emit(self._room, self.figures, FIGURES)

    def _sell(self) -> None:
        self._timers["sell"] = self._clock.call_later(PACE, self._sell)
        for _ in range(self._random.randint(0, _ORDERS)):
            self._orders += 1
            self._revenue += self._random.randint(*_AMOUNTS)
        self._tell()

    def _refund(self) -> None:
        self._timers["refund"] = self._clock.call_later(ASKING, self._refund)
        self._order += self._random.randint(1, 9)
        amount, why = self._random.randint(*_AMOUNTS), self._random.choice(_REASONS)
        data = {"order": self._order, "amount": amount, "reason": why}
        self._ask(self._workspace, data, f"Refund {amount} € for order {self._order}?")
