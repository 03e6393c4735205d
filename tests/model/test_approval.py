"""Requests for approval."""

import pytest
from msgspec.structs import replace

from portward.model.approval import Approval, Decision, Verdict
from portward.model.channel import Channel

ASKED = Approval(
    id="r", channel=Channel.parse("workspaces:w:approvals"), title="T", data=None, created_at=10.0,
    expires_at=20.0,
)  # fmt: skip


@pytest.mark.parametrize(("now", "pending"), [(10.0, True), (19.9, True), (20.0, False)])
def test_pending(now: float, pending: bool) -> None:
    """A request can be decided until the moment it expires."""
    assert ASKED.pending(now) is pending


def test_decided() -> None:
    """One that has its verdict is not pending."""
    verdict = Verdict(decision=Decision.REJECT, user="ann", at=11.0)
    assert not replace(ASKED, verdict=verdict).pending(11.0)


def test_decisions() -> None:
    """There are two."""
    assert [each.value for each in Decision] == ["approve", "reject"]
