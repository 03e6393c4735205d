import pytest

from portward.node.stores import UserRights, directory
from tests.node.stores.conftest import SlowStores

STAFF = frozenset({"staff"})


async def test_change_whose_caller_was_cancelled(slow: SlowStores) -> None:
    """What is read before the change is carried out is not kept beyond it."""
    rights = slow.stores.directory
    await rights.set_roles("ann", STAFF)

    async def asked() -> None:
        assert (await rights.rights("ann")).roles == STAFF

    await slow.cancelled(rights.set_roles("ann", frozenset()), asked)
    assert await rights.rights("ann") == UserRights()
    await rights.set_roles("ann", STAFF)
    assert (await rights.rights("ann")).roles == STAFF


async def test_many_changes_whose_callers_were_cancelled(
    slow: SlowStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With too many of them nothing is kept in memory, and what is read is right."""
    monkeypatch.setattr(directory, "MAX_UNCERTAIN", 1)
    rights = slow.stores.directory
    for user in ("ann", "bob", "cid"):
        await slow.cancelled(rights.set_roles(user, STAFF), lambda: rights.rights("dan"))
    for user in ("ann", "bob", "cid"):
        assert (await rights.rights(user)).roles == STAFF
    await rights.set_roles("ann", frozenset())
    assert await rights.rights("ann") == UserRights()
