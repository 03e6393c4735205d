"""The contract of `portward.node.stores` over the key-value port of an engine."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from portward.engines.port import Engine
from portward.model.approval import Approval, Decision, Verdict
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.identity import Identity
from portward.model.node import NodeInfo
from portward.model.revocation import Revocation, RevocationKind
from portward.model.shared import SharedValue
from portward.node.sessions import LoopClock
from portward.node.stores import MAX_PENDING, SHARED_KEYS, SessionRecord, Stores, UserRights

ROOM = Channel.parse("rooms:general")
OTHER = Channel.parse("rooms:other")
APPROVALS = Channel.parse("workspaces:w1:approvals")
OTHER_APPROVALS = Channel.parse("workspaces:w2:approvals")


class StoresContract:
    """Inherited by :class:`EngineContract`: shared facts are stored alike in every engine."""

    @pytest.fixture
    async def clock(self) -> Clock:
        """The time of the stores. Override it where the engine's time can be made to leap."""
        return LoopClock()

    @pytest.fixture
    async def stores(self, engine: Engine, clock: Clock) -> Stores:
        """The stores of a started node."""
        stores = Stores(engine, clock)
        await stores.start()
        return stores

    # -- directory

    async def test_facts_of_a_stranger_are_empty(self, stores: Stores) -> None:
        """Nothing is known of a user nobody wrote about."""
        assert not await stores.directory.rights("nobody")

    async def test_facts_are_replaced(self, stores: Stores) -> None:
        """Roles, permissions and workspaces are kept apart and replaced whole."""
        await stores.directory.set_roles("ann", frozenset({"user", "admin"}))
        await stores.directory.set_permissions("ann", frozenset({"room.create"}))
        await stores.directory.set_workspaces("ann", frozenset({"w1"}))
        await stores.directory.set_roles("ann", frozenset({"user"}))
        facts = await stores.directory.rights("ann")
        assert facts == UserRights(
            roles=frozenset({"user"}),
            permissions=frozenset({"room.create"}),
            workspaces=frozenset({"w1"}),
        )

    async def test_facts_can_be_taken_away(self, stores: Stores) -> None:
        """A user without any facts is a stranger again."""
        await stores.directory.set_roles("ann", frozenset({"user"}))
        await stores.directory.set_roles("ann", frozenset())
        assert not await stores.directory.rights("ann")

    # -- sessions and tickets

    async def test_session_nonce_works_once(self, stores: Stores) -> None:
        """Exchanging a nonce returns the record with the new one; the old one is dead."""
        await stores.sessions.save(_record("n1"), 60.0)
        swapped = await stores.sessions.swap("s1", "n1", "n2", "c2")
        assert swapped is not None
        assert (swapped.nonce, swapped.client, swapped.identity) == ("n2", "c2", _ANN)
        assert await stores.sessions.swap("s1", "n1", "n3", "c3") is None

    async def test_returns_are_taken_once(self, stores: Stores) -> None:
        """What a user was in is taken back once, each channel apart, and by nobody else."""
        put, take = stores.sessions.put_returns, stores.sessions.take_returns
        await put("ann", (ROOM, OTHER), 60.0)
        await put("ann", (ROOM,), 60.0)
        await put("cyd", (), 60.0)
        assert await take("bob", (ROOM,)) == frozenset()
        assert await take("ann", (ROOM, Channel.parse("rooms:third"))) == {ROOM}
        assert await take("ann", (ROOM, OTHER)) == {OTHER}
        assert await take("ann", (ROOM, OTHER)) == frozenset()

    async def test_returns_run_out(
        self, stores: Stores, engine: Engine, leap: Callable[[float], None]
    ) -> None:
        """What a user was in is forgotten after its time."""
        await stores.sessions.put_returns("ann", (ROOM,), 60.0)
        leap(30)
        await stores.sessions.put_returns("ann", (OTHER,), 60.0)
        leap(31)
        await engine.sweep()
        assert await stores.sessions.take_returns("ann", (ROOM, OTHER)) == {OTHER}

    async def test_session_expires(
        self, stores: Stores, engine: Engine, leap: Callable[[float], None]
    ) -> None:
        """A record is gone after its time, a released one after its shorter time."""
        await stores.sessions.save(_record("n1"), 3600.0)
        await stores.sessions.release("s1", "another", 10.0)
        leap(11)
        await stores.sessions.release("s1", "c1", 10.0)
        leap(9)
        await engine.sweep()
        assert await stores.sessions.swap("s1", "n1", "n2", "c1") is not None
        leap(2)
        assert await stores.sessions.swap("s1", "n2", "n3", "c1") is None

    async def test_session_can_be_dropped(self, stores: Stores) -> None:
        """A dropped record cannot be come back to."""
        await stores.sessions.save(_record("n1"), 60.0)
        await stores.sessions.drop("s1")
        assert await stores.sessions.swap("s1", "n1", "n2", "c1") is None

    async def test_ticket_works_once(self, stores: Stores) -> None:
        """A ticket is redeemed by the first who asks."""
        await stores.sessions.put_ticket("t", _ANN, 60.0)
        assert await stores.sessions.take_ticket("t") == _ANN
        assert await stores.sessions.take_ticket("t") is None

    async def test_ticket_expires(self, stores: Stores, leap: Callable[[float], None]) -> None:
        """A ticket nobody redeemed in time is worth nothing."""
        await stores.sessions.put_ticket("t", _ANN, 60.0)
        leap(61)
        assert await stores.sessions.take_ticket("t") is None

    # -- revocations

    @pytest.mark.parametrize(
        ("kind", "value", "covered"),
        [
            (RevocationKind.TOKEN_ID, "j1", True),
            (RevocationKind.TOKEN_ID, "j2", False),
            (RevocationKind.SESSION, "sid1", True),
            (RevocationKind.SESSION, "resume1", True),
            (RevocationKind.TOKEN, "d1", True),
            (RevocationKind.SUBJECT, "ann", True),
            (RevocationKind.SUBJECT, "bob", False),
        ],
    )
    async def test_revocation_covers(
        self, stores: Stores, kind: RevocationKind, value: str, *, covered: bool
    ) -> None:
        """A revocation names a token id, a session, a subject or a whole token, and nothing else."""
        await stores.revocations.add(Revocation(kind, value, at=100.0, until=4e9))
        assert await stores.revocations.is_revoked(_ANN, "resume1") is covered

    async def test_subject_revocation_spares_newer_tokens(self, stores: Stores) -> None:
        """What a subject was issued after the revocation is good."""
        revocation = Revocation(RevocationKind.SUBJECT, "ann", at=49.0, until=4e9)
        await stores.revocations.add(revocation)
        assert not await stores.revocations.is_revoked(_ANN, None)
        assert await stores.revocations.since(49.0) == (revocation,)
        assert await stores.revocations.since(50.0) == ()

    async def test_revocation_is_forgotten_in_the_end(self, stores: Stores, engine: Engine) -> None:
        """A revocation is kept until what it took back would have run out."""
        await stores.revocations.add(Revocation(RevocationKind.TOKEN_ID, "j1", at=1.0, until=2.0))
        await engine.sweep()
        assert await stores.revocations.since(0.0) == ()

    async def test_many_revocations_of_one_user_at_once(self, stores: Stores) -> None:
        """Every one of many revocations of the same is stored, and the latest of them remains."""
        made = [Revocation(RevocationKind.SUBJECT, "ann", 100.0 + n, 4e9 + n) for n in range(50)]
        await asyncio.gather(*map(stores.revocations.add, made))
        assert await stores.revocations.since(0.0) == (made[-1],)

    # -- approvals

    async def test_an_approval_is_kept_and_read_back(self, stores: Stores) -> None:
        """A request is read back as it was added, and waits for a decision in its channel alone."""
        asked = _asked("a1")
        assert await stores.approvals.add(asked)
        assert await stores.approvals.get("a1") == asked
        assert await stores.approvals.get("a2") is None
        assert await stores.approvals.pending(APPROVALS) == (asked,)
        assert await stores.approvals.pending(OTHER_APPROVALS) == ()

    async def test_approvals_wait_in_order(self, stores: Stores) -> None:
        """Pending requests come the oldest first."""
        for number in (3, 1, 2):
            await stores.approvals.add(_asked(f"a{number}", created_at=1000.0 + number))
        pending = await stores.approvals.pending(APPROVALS)
        assert [each.id for each in pending] == ["a1", "a2", "a3"]

    async def test_an_approval_id_is_taken_once(self, stores: Stores) -> None:
        """A second request with the same id is refused and changes nothing."""
        await stores.approvals.add(_asked("a1"))
        assert not await stores.approvals.add(_asked("a1", title="other"))
        kept = await stores.approvals.get("a1")
        assert kept is not None
        assert kept.title == "deploy?"

    async def test_an_approval_is_decided_once(self, stores: Stores) -> None:
        """The first verdict wins; who comes later is told of it."""
        await stores.approvals.add(_asked("a1"))
        first, second = _verdict("ann"), _verdict("bob", Decision.REJECT)
        decided, won = await stores.approvals.decide(_asked("a1"), first)
        assert decided is not None
        assert (decided.verdict, won) == (first, True)
        again, won = await stores.approvals.decide(_asked("a1"), second)
        assert again is not None
        assert (again.verdict, won) == (first, False)
        assert await stores.approvals.pending(APPROVALS) == ()
        kept = await stores.approvals.get("a1")
        assert kept is not None
        assert kept.verdict == first

    async def test_an_unknown_approval_is_not_decided(self, stores: Stores) -> None:
        """There is nothing to decide where nothing was asked."""
        assert await stores.approvals.decide(_asked("a1"), _verdict("ann")) == (None, False)

    async def test_an_expired_approval_is_not_decided(self, stores: Stores) -> None:
        """Who decides after the time is too late; the request can still be read."""
        await stores.approvals.add(_asked("a1"))
        late = Verdict(decision=Decision.APPROVE, user="ann", at=4e9 + 1)
        kept, won = await stores.approvals.decide(_asked("a1"), late)
        assert (kept, won) == (_asked("a1"), False)

    async def test_an_approval_is_forgotten_in_the_end(
        self, stores: Stores, engine: Engine
    ) -> None:
        """A request nobody can act upon any more is forgotten."""
        await stores.approvals.add(_asked("a1", expires_at=2.0))
        assert await stores.approvals.pending(APPROVALS) == ()
        await engine.sweep()
        assert await stores.approvals.get("a1") is None

    async def test_pending_approvals_are_bounded(self, stores: Stores) -> None:
        """A channel has a bounded number of requests that wait."""
        for number in range(MAX_PENDING):
            assert await stores.approvals.add(_asked(f"a{number}"))
        assert not await stores.approvals.add(_asked("more"))
        await stores.approvals.decide(_asked("a7"), _verdict("ann"))
        assert await stores.approvals.add(_asked("more"))

    # -- shared state

    async def test_a_shared_value_counts_its_versions(self, stores: Stores) -> None:
        """Each time a value is set its version goes up by one; keys and owners are apart."""
        assert await stores.user_state.put("ann", "k", {"a": 1}, None, 60.0) == (
            SharedValue(1, {"a": 1}), True,
        )  # fmt: skip
        assert await stores.user_state.put("ann", "k", [2], 1, 60.0) == (SharedValue(2, [2]), True)
        assert await stores.user_state.put("ann", "l", None, 0, 60.0) == (
            SharedValue(1, None),
            True,
        )
        assert await stores.user_state.put("bob", "k", "x", None, 60.0) == (
            SharedValue(1, "x"),
            True,
        )

    async def test_a_stale_version_is_refused(self, stores: Stores) -> None:
        """Who builds on an older version is told the current one."""
        await stores.user_state.put("ann", "k", "first", None, 60.0)
        await stores.user_state.put("ann", "k", "second", 1, 60.0)
        assert await stores.user_state.put("ann", "k", "third", 1, 60.0) == (
            SharedValue(2, "second"), False,
        )  # fmt: skip
        assert await stores.user_state.put("ann", "none", "x", 3, 60.0) == (SharedValue(), False)

    async def test_shared_values_are_bounded(self, stores: Stores) -> None:
        """Of too many keys of one owner the one set longest ago is forgotten."""
        for number in range(SHARED_KEYS):
            await stores.user_state.put("ann", f"k{number}", number, None, 60.0)
        await stores.user_state.put("ann", "k0", "again", None, 60.0)
        await stores.user_state.put("ann", "more", "x", None, 60.0)
        kept, put = await stores.user_state.put("ann", "k0", "third", 2, 60.0)
        assert (kept.version, put) == (3, True)
        assert await stores.user_state.put("ann", "k1", "x", 1, 60.0) == (SharedValue(), False)

    async def test_shared_values_are_forgotten(
        self, stores: Stores, leap: Callable[[float], None]
    ) -> None:
        """What nobody has set for long is gone; setting any of an owner's keeps all of them."""
        await stores.user_state.put("ann", "k", "x", None, 60.0)
        leap(59.0)
        await stores.user_state.put("ann", "l", "x", None, 60.0)
        leap(59.0)
        assert (await stores.user_state.put("ann", "k", "y", 1, 60.0))[1]
        leap(61.0)
        assert await stores.user_state.put("ann", "k", "z", 2, 60.0) == (SharedValue(), False)

    # -- nodes

    async def test_nodes_are_listed(self, stores: Stores) -> None:
        """A node is listed as it last announced itself, until it withdraws."""
        await stores.nodes.register(_node("n2"), 60.0)
        await stores.nodes.register(_node("n1"), 60.0)
        await stores.nodes.register(_node("n1", clients=5), 60.0)
        assert await stores.nodes.present() == (_node("n1", clients=5), _node("n2"))
        await stores.nodes.withdraw("n2")
        assert await stores.nodes.present() == (_node("n1", clients=5),)

    async def test_no_token_was_revoked_by_nobody(self, stores: Stores) -> None:
        """A token that no other application has taken back is not revoked by one."""
        assert not await stores.revocations.token_revoked("header.payload.signature")


def _asked(approval: str, **more: Any) -> Approval:
    fields: dict[str, Any] = {
        "channel": APPROVALS, "title": "deploy?", "data": {"to": ["prod"]}, "created_at": 1000.0,
        "expires_at": 4e9,
    }  # fmt: skip
    return Approval(id=approval, **{**fields, **more})


def _verdict(user: str, decision: Decision = Decision.APPROVE) -> Verdict:
    return Verdict(decision=decision, user=user, at=2000.0, comment="fine")


def _node(uid: str, clients: int = 0) -> NodeInfo:
    return NodeInfo(uid=uid, clients=clients, users=0, subscriptions=0, channels=0, uptime=1.0)


_ANN = Identity(subject="ann", token_id="j1", session_id="sid1", digest="d1", issued_at=50.0)  # noqa: S106


def _record(nonce: str) -> SessionRecord:
    return SessionRecord(id="s1", identity=_ANN, nonce=nonce, client="c1")
