from portward.model.handshake_errors import HandshakeRejection
from portward.model.limits import HEAD_TIME, HeadLimits
from portward.testing.clock import FakeClock
from portward.transports.listener_state import ListenerState
from portward.transports.request_router import RequestRouter
from tests.transports.running_listener import FakeGate


class Waiter:
    """Remembers that it was dropped."""

    def __init__(self) -> None:
        self.aborted = 0

    def overdue(self) -> None:
        """Never happen."""
        raise AssertionError("it was not its time")

    def abort(self) -> None:
        """Count it."""
        self.aborted += 1


def test_without_a_limit_no_descriptor_is_in_the_reserve() -> None:
    """A lobby that nobody told of a limit lets every descriptor pass."""
    assert ListenerState(RequestRouter(FakeGate()), FakeClock()).room_for(10**6) is None


def test_descriptors_from_the_limit_on_are_the_reserve() -> None:
    """The listener is told of each connection that reaches into it."""
    seen: list[int] = []
    listener_state = ListenerState(RequestRouter(FakeGate()), FakeClock())
    listener_state.reserve_descriptors(100, seen.append)
    assert [listener_state.room_for(number) for number in (99, 100, 101)] == [
        None,
        HandshakeRejection.OVERLOAD,
        HandshakeRejection.OVERLOAD,
    ]
    assert seen == [100, 101]


def test_the_gate_has_the_last_word() -> None:
    """Its own cap holds beside that of the lobby."""
    gate = FakeGate()
    gate.full = HandshakeRejection.DRAINING

    assert (
        ListenerState(RequestRouter(gate), FakeClock()).room_for(3) is HandshakeRejection.DRAINING
    )


def test_who_is_only_being_polite_does_not_take_room() -> None:
    """Refused clients that linger are not counted against the cap."""
    listener_state = ListenerState(RequestRouter(FakeGate()), FakeClock(), max_sockets=1)
    listener_state.sockets = 2
    assert listener_state.room_for(3) is HandshakeRejection.GLOBAL_CAP
    listener_state.lingering.add(Waiter())

    assert listener_state.room_for(3) is None


def test_the_time_for_a_head_is_the_operators() -> None:
    """Without a setting it is five seconds."""
    assert ListenerState(RequestRouter(FakeGate()), FakeClock()).head_time == HEAD_TIME == 5.0
    assert (
        ListenerState(
            RequestRouter(FakeGate()), FakeClock(), head_limits=HeadLimits(time=2.0)
        ).head_time
        == 2.0
    )


def test_clearing_drops_newcomers_and_those_who_are_leaving() -> None:
    """Everyone who is not a session goes, once, and no deadline is left."""
    clock = FakeClock()
    listener_state = ListenerState(RequestRouter(FakeGate()), clock)
    handshake, leaving = Waiter(), Waiter()
    listener_state.unadmitted.add(handshake)
    listener_state.heads.add(handshake)
    listener_state.closing.add(leaving)

    listener_state.clear()
    clock.advance(60)

    assert (handshake.aborted, leaving.aborted) == (1, 1)
    assert clock.pending == 0
