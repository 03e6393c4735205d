from random import Random

from portward.demo.workspace import ASKING, FIGURES, PACE, SimulatedWorkspace
from portward.testing.clock import FakeClock


class Watched:
    """A shop on a clock that leaps, and everything it told and asked."""

    def __init__(self, seed: int = 1) -> None:
        self.clock = FakeClock()
        self.told: list[dict[str, int]] = []
        self.asked: list[tuple[dict[str, object], str]] = []
        self.shop = SimulatedWorkspace(self.clock, Random(seed), self._emit, self._ask)

    def _emit(self, room: str, data: object, event: str) -> None:
        assert (room, event) == ("workspace:w1:dashboard", FIGURES)
        assert isinstance(data, dict)
        self.told.append(data)

    def _ask(self, workspace: str, data: object, title: str) -> None:
        assert workspace == "w1"
        assert isinstance(data, dict)
        self.asked.append((data, title))


def test_figures_grow() -> None:
    """Orders come with what they are worth, and are told every few seconds."""
    watched = Watched()
    watched.shop.start()
    watched.clock.advance(20 * PACE)
    orders = [each["orders"] for each in watched.told]
    assert len(orders) == 20
    assert orders == sorted(orders)
    assert orders[-1] > 0
    assert watched.told[-1]["revenue"] >= 9 * orders[-1]
    assert watched.told[-1] == watched.shop.figures


def test_refunds_are_asked_for() -> None:
    """Soon for the first time, then every so often; each for another order, and with a reason."""
    watched = Watched()
    watched.shop.start()
    watched.clock.advance(2.5 * ASKING)
    assert len(watched.asked) == 3
    assert len({data["order"] for data, _ in watched.asked}) == 3
    for data, title in watched.asked:
        assert title == f"Refund {data['amount']} € for order {data['order']}?"
        assert data["reason"]


def test_what_users_may_do() -> None:
    """They refresh and reset, and are told at once; anything else is not known."""
    watched = Watched()
    watched.shop.start()
    watched.clock.advance(20 * PACE)
    figures, told = watched.shop.figures, len(watched.told)
    assert watched.shop.act("refresh") == figures == watched.told[-1]
    assert watched.shop.act("reset") == {"orders": 0, "revenue": 0} == watched.told[-1]
    assert watched.shop.act("close") is None
    assert len(watched.told) == told + 2


def test_stop() -> None:
    """A shop that is closed tells and asks nothing more; closing it twice does nothing."""
    watched = Watched()
    watched.shop.stop()
    watched.shop.start()
    watched.shop.stop()
    watched.shop.stop()
    assert watched.clock.pending == 0
    watched.clock.advance(60.0)
    assert (watched.told, watched.asked) == ([], [])


def test_same_seed_same_story() -> None:
    """The same random numbers tell the same."""
    first, same, other = Watched(4), Watched(4), Watched(5)
    for each in (first, same, other):
        each.shop.start()
        each.clock.advance(60.0)
    assert (first.told, first.asked) == (same.told, same.asked)
    assert first.told != other.told
