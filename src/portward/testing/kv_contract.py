"""The part of the engine's contract about what people share: requests, state, nodes, notes."""

from collections.abc import Callable
from typing import Any

from portward.engines.port import MAX_PENDING, SHARED_KEYS, Engine
from portward.model.approval import Approval, Decision, Verdict
from portward.model.channel import Channel
from portward.model.node import NodeInfo
from portward.model.shared import SharedValue

ROOM = Channel.parse("workspaces:w1:approvals")
OTHER = Channel.parse("workspaces:w2:approvals")


class KeyValueContract:
    """Inherited by :class:`EngineContract`."""

    # -- approvals

    async def test_an_approval_is_kept_and_read_back(self, engine: Engine) -> None:
        """A request is read back as it was added, and waits for a decision in its channel alone."""
        asked = _asked("a1")
        assert await engine.approvals.add(asked)
        assert await engine.approvals.get("a1") == asked
        assert await engine.approvals.get("a2") is None
        assert await engine.approvals.pending(ROOM) == (asked,)
        assert await engine.approvals.pending(OTHER) == ()

    async def test_approvals_wait_in_order(self, engine: Engine) -> None:
        """Pending requests come the oldest first."""
        for number in (3, 1, 2):
            await engine.approvals.add(_asked(f"a{number}", created_at=1000.0 + number))
        pending = await engine.approvals.pending(ROOM)
        assert [each.id for each in pending] == ["a1", "a2", "a3"]

    async def test_an_approval_id_is_taken_once(self, engine: Engine) -> None:
        """A second request with the same id is refused and changes nothing."""
        await engine.approvals.add(_asked("a1"))
        assert not await engine.approvals.add(_asked("a1", title="other"))
        kept = await engine.approvals.get("a1")
        assert kept is not None
        assert kept.title == "deploy?"

    async def test_an_approval_is_decided_once(self, engine: Engine) -> None:
        """The first verdict wins; who comes later is told of it."""
        await engine.approvals.add(_asked("a1"))
        first, second = _verdict("ann"), _verdict("bob", Decision.REJECT)
        decided, won = await engine.approvals.decide("a1", first)
        assert decided is not None
        assert (decided.verdict, won) == (first, True)
        again, won = await engine.approvals.decide("a1", second)
        assert again is not None
        assert (again.verdict, won) == (first, False)
        assert await engine.approvals.pending(ROOM) == ()
        kept = await engine.approvals.get("a1")
        assert kept is not None
        assert kept.verdict == first

    async def test_an_unknown_approval_is_not_decided(self, engine: Engine) -> None:
        """There is nothing to decide where nothing was asked."""
        assert await engine.approvals.decide("a1", _verdict("ann")) == (None, False)

    async def test_an_expired_approval_is_not_decided(self, engine: Engine) -> None:
        """Who decides after the time is too late; the request can still be read."""
        await engine.approvals.add(_asked("a1"))
        late = Verdict(decision=Decision.APPROVE, user="ann", at=4e9 + 1)
        kept, won = await engine.approvals.decide("a1", late)
        assert (kept, won) == (_asked("a1"), False)

    async def test_an_approval_is_forgotten_in_the_end(self, engine: Engine) -> None:
        """A request nobody can act upon any more is forgotten."""
        await engine.approvals.add(_asked("a1", expires_at=2.0))
        assert await engine.approvals.pending(ROOM) == ()
        await engine.sweep()
        assert await engine.approvals.get("a1") is None

    async def test_pending_approvals_are_bounded(self, engine: Engine) -> None:
        """A channel has a bounded number of requests that wait."""
        for number in range(MAX_PENDING):
            assert await engine.approvals.add(_asked(f"a{number}"))
        assert not await engine.approvals.add(_asked("more"))
        await engine.approvals.decide("a7", _verdict("ann"))
        assert await engine.approvals.add(_asked("more"))

    # -- shared state

    async def test_a_shared_value_counts_its_versions(self, engine: Engine) -> None:
        """Each time a value is set its version goes up by one; keys and owners are apart."""
        assert await engine.user_state.put("ann", "k", {"a": 1}, None, 60.0) == (
            SharedValue(1, {"a": 1}), True,
        )  # fmt: skip
        assert await engine.user_state.put("ann", "k", [2], 1, 60.0) == (SharedValue(2, [2]), True)
        assert await engine.user_state.put("ann", "l", None, 0, 60.0) == (
            SharedValue(1, None),
            True,
        )
        assert await engine.user_state.put("bob", "k", "x", None, 60.0) == (
            SharedValue(1, "x"),
            True,
        )

    async def test_a_stale_version_is_refused(self, engine: Engine) -> None:
        """Who builds on an older version is told the current one."""
        await engine.user_state.put("ann", "k", "first", None, 60.0)
        await engine.user_state.put("ann", "k", "second", 1, 60.0)
        assert await engine.user_state.put("ann", "k", "third", 1, 60.0) == (
            SharedValue(2, "second"), False,
        )  # fmt: skip
        assert await engine.user_state.put("ann", "none", "x", 3, 60.0) == (SharedValue(), False)

    async def test_shared_values_are_bounded(self, engine: Engine) -> None:
        """Of too many keys of one owner the one set longest ago is forgotten."""
        for number in range(SHARED_KEYS):
            await engine.user_state.put("ann", f"k{number}", number, None, 60.0)
        await engine.user_state.put("ann", "k0", "again", None, 60.0)
        await engine.user_state.put("ann", "more", "x", None, 60.0)
        kept, put = await engine.user_state.put("ann", "k0", "third", 2, 60.0)
        assert (kept.version, put) == (3, True)
        assert await engine.user_state.put("ann", "k1", "x", 1, 60.0) == (SharedValue(), False)

    async def test_shared_values_are_forgotten(
        self, engine: Engine, leap: Callable[[float], None]
    ) -> None:
        """What nobody has set for long is gone; setting any of an owner's keeps all of them."""
        await engine.user_state.put("ann", "k", "x", None, 60.0)
        leap(59.0)
        await engine.user_state.put("ann", "l", "x", None, 60.0)
        leap(59.0)
        assert (await engine.user_state.put("ann", "k", "y", 1, 60.0))[1]
        leap(61.0)
        assert await engine.user_state.put("ann", "k", "z", 2, 60.0) == (SharedValue(), False)

    # -- nodes

    async def test_nodes_are_listed(self, engine: Engine) -> None:
        """A node is listed as it last announced itself, until it withdraws."""
        await engine.nodes.register(_node("n2"), 60.0)
        await engine.nodes.register(_node("n1"), 60.0)
        await engine.nodes.register(_node("n1", clients=5), 60.0)
        assert await engine.nodes.present() == (_node("n1", clients=5), _node("n2"))
        await engine.nodes.withdraw("n2")
        assert await engine.nodes.present() == (_node("n1", clients=5),)

    # -- notes

    async def test_a_note_is_kept_as_it_was_last_set(self, engine: Engine) -> None:
        """A text is read back whatever is in it, until another takes its place; keys are apart."""
        text = 'first: {"a": "\u00e9\u2028"}\n'
        assert await engine.kv.get("audit:a b{c}:n") is None
        await engine.kv.set("audit:a b{c}:n", text)
        assert await engine.kv.get("audit:a b{c}:n") == text
        await engine.kv.set("audit:a b{c}:n", "")
        assert await engine.kv.get("audit:a b{c}:n") == ""
        assert await engine.kv.get("audit:a b{c}") is None

    async def test_a_list_has_the_newest_first(self, engine: Engine) -> None:
        """What is put before a list later, or stands later in one call, is read earlier."""
        await engine.kv.prepend("list", ("one",), 10)
        await engine.kv.prepend("list", ("two", "two", "\u00e9"), 10)
        assert await engine.kv.read("list", 10) == ("\u00e9", "two", "two", "one")
        assert await engine.kv.read("list", 2) == ("\u00e9", "two")
        assert await engine.kv.read("list", 0) == ()
        assert await engine.kv.read("other", 10) == ()

    async def test_a_list_is_bounded(self, engine: Engine) -> None:
        """Of too many the oldest are let go, also those of one call; other lists stay."""
        await engine.kv.prepend("other", ("kept",), 10)
        for number in range(5):
            await engine.kv.prepend("list", (f"{number}",), 3)
        assert await engine.kv.read("list", 10) == ("4", "3", "2")
        await engine.kv.prepend("list", tuple("abcdef"), 3)
        assert await engine.kv.read("list", 10) == ("f", "e", "d")
        await engine.kv.prepend("list", (), 2)
        assert await engine.kv.read("list", 10) == ("f", "e")
        assert await engine.kv.read("other", 10) == ("kept",)

    async def test_no_token_was_revoked_by_nobody(self, engine: Engine) -> None:
        """A token that no other application has taken back is not revoked by one."""
        assert not await engine.revocations.token_revoked("header.payload.signature")


def _asked(approval: str, **more: Any) -> Approval:
    fields: dict[str, Any] = {
        "channel": ROOM, "title": "deploy?", "data": {"to": ["prod"]}, "created_at": 1000.0,
        "expires_at": 4e9,
    }  # fmt: skip
    return Approval(id=approval, **{**fields, **more})


def _verdict(user: str, decision: Decision = Decision.APPROVE) -> Verdict:
    return Verdict(decision=decision, user=user, at=2000.0, comment="fine")


def _node(uid: str, clients: int = 0) -> NodeInfo:
    return NodeInfo(uid=uid, clients=clients, users=0, subscriptions=0, channels=0, uptime=1.0)
