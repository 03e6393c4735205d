"""The part of the engine's contract about values, records, leases, names and lists by key."""

from collections.abc import Callable

from portward.engines.port import NEWEST, Change, Engine, IndexEntry, IndexKey, Key, LeaseKey

THING = Key(":a", "things")
INDEX = Key("-index", "things")
MARKS = "a b{c}:\u00e9%*\n"
"""Text that must not change the meaning of a key."""


class KeyValueContract:
    """Inherited by :class:`EngineContract`."""

    # -- values

    async def test_a_value_is_kept_as_it_was_last_set(self, engine: Engine) -> None:
        """A value is read back whatever is in it, until another takes its place; keys are apart."""
        value, key = b'first: {"a": "\xff\x00"}\r\n', Key(f"audit:{MARKS}:n")
        assert await engine.kv.get(key) is None
        await engine.kv.put(key, value)
        assert await engine.kv.get(key) == value
        await engine.kv.put(key, b"")
        assert await engine.kv.get(key) == b""
        assert await engine.kv.get(Key(f"audit:{MARKS}")) is None
        assert await engine.kv.get(Key(f"audit:{MARKS}:n", "things")) is None

    async def test_a_value_is_taken_once(self, engine: Engine) -> None:
        """The first caller that takes a value gets it; then there is none."""
        await engine.kv.put(THING, b"x", 60.0)
        assert await engine.kv.exists(THING)
        assert await engine.kv.take(THING) == b"x"
        assert await engine.kv.take(THING) is None
        assert not await engine.kv.exists(THING)

    async def test_values_and_records_are_deleted(self, engine: Engine) -> None:
        """A deleted entry is absent; deleting it again does nothing."""
        record = Key(":r", "things")
        await engine.kv.put(THING, b"x")
        await engine.kv.update(record, Change(set={"a": b"1"}))
        assert await engine.kv.exists(record)
        for key in (THING, record) * 2:
            await engine.kv.delete(key)
        assert await engine.kv.get(THING) is None
        assert await engine.kv.records((record,), ("a",)) == [{}]

    async def test_a_value_expires(self, engine: Engine, leap: Callable[[float], None]) -> None:
        """A value is absent after its time, and a value set without a time stays."""
        other = Key(":b", "things")
        await engine.kv.put(THING, b"x", 60.0)
        await engine.kv.put(other, b"x", 60.0)
        await engine.kv.put(other, b"y")
        leap(61.0)
        await engine.sweep()
        assert await engine.kv.get(THING) is None
        assert await engine.kv.take(THING) is None
        assert await engine.kv.get(other) == b"y"

    # -- records

    async def test_a_record_keeps_its_other_fields(self, engine: Engine) -> None:
        """An update sets the given fields; others stay, and unknown ones are left out."""
        await engine.kv.update(THING, Change(set={"a": b"1", MARKS: b"\xff"}))
        changed = await engine.kv.update(THING, Change(set={"a": b"2"}, read=("a", MARKS, "none")))
        assert changed == (True, {"a": b"2", MARKS: b"\xff"})
        found = await engine.kv.records((THING, Key(":none", "things")), ("a", "none"))
        assert found == [{"a": b"2"}, {}]

    async def test_an_update_compares_and_sets(self, engine: Engine) -> None:
        """A record is changed only while its fields are as expected: of two callers one succeeds."""
        made = Change(set={"a": b"1"}, when={"a": None}, read=("a",))
        assert await engine.kv.update(THING, made) == (True, {"a": b"1"})
        assert await engine.kv.update(THING, made) == (False, {"a": b"1"})
        swapped = Change(set={"a": b"2", "b": b"x"}, when={"a": b"1", "b": None})
        assert await engine.kv.update(THING, swapped) == (True, {})
        assert await engine.kv.update(THING, swapped) == (False, {})
        assert await engine.kv.records((THING,), ("a", "b")) == [{"a": b"2", "b": b"x"}]

    async def test_a_refused_update_makes_nothing(self, engine: Engine) -> None:
        """A change that expects another value leaves neither a record nor an index behind."""
        entry = IndexEntry(INDEX, "a", 1.0)
        change = Change(set={"a": b"1"}, when={"a": b"0"}, indexes=(entry,), read=("a",))
        assert await engine.kv.update(THING, change) == (False, {})
        assert not await engine.kv.exists(THING)
        assert await engine.kv.indexed(IndexKey(INDEX), ("a",), 0.0) == []

    async def test_a_record_expires(self, engine: Engine, leap: Callable[[float], None]) -> None:
        """A record is absent after its time, which a later update replaces or leaves as it is."""
        other = Key(":b", "things")
        for key in (THING, other):
            await engine.kv.update(key, Change(set={"a": b"1"}, ttl=60.0))
        leap(50.0)
        await engine.kv.update(THING, Change(set={"b": b"1"}))
        await engine.kv.update(other, Change(when={"a": b"1"}, ttl=60.0))
        leap(11.0)
        assert await engine.kv.records((THING, other), ("a",)) == [{}, {"a": b"1"}]
        made = Change(set={"c": b"1"}, when={"a": None}, read=("a", "b", "c"))
        assert await engine.kv.update(THING, made) == (True, {"c": b"1"})
        leap(1000.0)
        await engine.sweep()
        assert await engine.kv.records((THING, other), ("c", "a")) == [{"c": b"1"}, {}]

    # -- indexes

    async def test_an_index_orders_records(self, engine: Engine) -> None:
        """Members are read by score from a lower bound on, with fields of their records."""
        for name, score in (("b", 2.0), (MARKS, 3.5), ("a", 1.0)):
            entry = IndexEntry(INDEX, name, score)
            change = Change(set={"n": name.encode(), "x": b"x"}, indexes=(entry,))
            await engine.kv.update(Key(f":{name}", "things"), change)
        found = await engine.kv.indexed(IndexKey(INDEX), ("n", "none"), 2.0)
        assert found == [("b", {"n": b"b"}), (MARKS, {"n": MARKS.encode()})]
        assert await engine.kv.indexed(IndexKey(INDEX), ("n", "x"), 0.0, 1) == [
            ("a", {"n": b"a", "x": b"x"})
        ]
        await engine.kv.update(THING, Change(set={}, indexes=(IndexEntry(INDEX, "a", 9.0),)))
        await engine.kv.update(THING, Change(set={}, indexes=(IndexEntry(INDEX, "b", None),)))
        found = await engine.kv.indexed(IndexKey(INDEX), ("n",), float("-inf"))
        assert [member for member, _ in found] == [MARKS, "a"]

    async def test_an_index_ends_with_its_records(self, engine: Engine) -> None:
        """A member whose record was deleted is not read any more."""
        entry = IndexEntry(INDEX, "a", 1.0)
        await engine.kv.update(THING, Change(set={"n": b"1"}, ttl=60.0, indexes=(entry,)))
        await engine.kv.delete(THING)
        assert await engine.kv.indexed(IndexKey(INDEX), ("n",), 0.0) == []

    async def test_a_full_index_refuses(self, engine: Engine) -> None:
        """With a limit nothing is changed when there is no place; members up to the floor make place."""

        async def add(name: str, score: float, floor: float) -> bool:
            entry = IndexEntry(INDEX, name, score, limit=2, floor=floor)
            change = Change(set={"n": b"1"}, ttl=60.0, indexes=(entry,))
            added, _ = await engine.kv.update(Key(f":{name}", "things"), change)
            return added

        assert [await add("a", 1.0, 0.0), await add("b", 2.0, 0.0)] == [True, True]
        assert not await add("c", 3.0, 0.5)
        assert not await engine.kv.exists(Key(":c", "things"))
        assert await add("c", 3.0, 1.0)
        found = await engine.kv.indexed(IndexKey(INDEX), ("n",), 0.0)
        assert [member for member, _ in found] == ["b", "c"]

    async def test_an_index_evicts_fields(self, engine: Engine) -> None:
        """Of more fields than the limit those set longest ago are removed."""
        for name in ("a", "b", "a", "c", "d"):
            entry = IndexEntry(INDEX, name, NEWEST, limit=3, evict=True)
            change = Change(set={name: b"1"}, ttl=60.0, indexes=(entry,))
            assert (await engine.kv.update(THING, change))[0]
        assert await engine.kv.records((THING,), ("a", "b", "c", "d")) == [
            {"a": b"1", "c": b"1", "d": b"1"}
        ]

    # -- leases

    async def test_leases_are_released_once(self, engine: Engine) -> None:
        """A member is valid until one caller releases it; leasing it again renews its value."""
        key = LeaseKey(Key(":until", "things"), Key(":values", "things"))
        await engine.kv.lease(key, {"a": b"1", MARKS: b"2"}, 60.0)
        await engine.kv.lease(key, {"a": b"3"}, 60.0)
        assert await engine.kv.leased(key) == {"a": b"3", MARKS: b"2"}
        assert await engine.kv.release(key, ("a", "none")) == {"a"}
        assert await engine.kv.release(key, ("a",)) == frozenset()
        assert await engine.kv.leased(key) == {MARKS: b"2"}

    async def test_leases_run_out(self, engine: Engine, leap: Callable[[float], None]) -> None:
        """A member is absent after the time of its last lease."""
        key = LeaseKey(Key(":until", "things"), Key(":values", "things"))
        await engine.kv.lease(key, {"a": b"1", "b": b"1"}, 60.0)
        leap(50.0)
        await engine.kv.lease(key, {"b": b"2"}, 60.0)
        leap(11.0)
        assert await engine.kv.leased(key) == {"b": b"2"}
        assert await engine.kv.release(key, ("a", "b")) == {"b"}

    async def test_leases_are_bounded(self, engine: Engine) -> None:
        """Of more members than the limit those that end first are removed."""
        key = LeaseKey(Key("leases"))
        await engine.kv.lease(key, {"a": b""}, 30.0, 2)
        await engine.kv.lease(key, {"b": b"", "c": b""}, 60.0, 2)
        assert await engine.kv.release(key, ("a", "b", "c")) == {"b", "c"}

    # -- names

    async def test_names_are_replaced(self, engine: Engine) -> None:
        """A set has the names it was last given; without any it is gone."""
        key, other = Key(f"user_roles:{MARKS}", external=True), Key(f"names:{MARKS}")
        await engine.kv.set_names(key, ["a", "b"])
        await engine.kv.set_names(key, ["b", "", "\u00e9"])
        await engine.kv.set_names(other, ["x"])
        assert await engine.kv.names((key, other)) == [{"b", "", "\u00e9"}, {"x"}]
        await engine.kv.set_names(other, [])
        assert await engine.kv.names((other, key)) == [frozenset(), {"b", "", "\u00e9"}]
        assert not await engine.kv.exists(other)

    # -- lists

    async def test_a_list_has_the_newest_first(self, engine: Engine) -> None:
        """What is put before a list later, or stands later in one call, is read earlier."""
        await engine.kv.prepend(Key("list"), ("one",), 10)
        await engine.kv.prepend(Key("list"), ("two", "two", "\u00e9"), 10)
        assert await engine.kv.read(Key("list"), 10) == ("\u00e9", "two", "two", "one")
        assert await engine.kv.read(Key("list"), 2) == ("\u00e9", "two")
        assert await engine.kv.read(Key("list"), 0) == ()
        assert await engine.kv.read(Key("other"), 10) == ()

    async def test_a_list_is_bounded(self, engine: Engine) -> None:
        """Of too many the oldest are let go, also those of one call; other lists stay."""
        await engine.kv.prepend(Key("other"), ("kept",), 10)
        for number in range(5):
            await engine.kv.prepend(Key("list"), (f"{number}",), 3)
        assert await engine.kv.read(Key("list"), 10) == ("4", "3", "2")
        await engine.kv.prepend(Key("list"), tuple("abcdef"), 3)
        assert await engine.kv.read(Key("list"), 10) == ("f", "e", "d")
        await engine.kv.prepend(Key("list"), (), 2)
        assert await engine.kv.read(Key("list"), 10) == ("f", "e")
        assert await engine.kv.read(Key("other"), 10) == ("kept",)
