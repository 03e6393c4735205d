import pytest

from docs.contract import CONTRACTS, Contract
from portward.client.closes import invites_return
from portward.model.disconnects import Disconnect


@pytest.mark.parametrize("ending", list(Disconnect))
def test_endings_of_the_gateway(ending: Disconnect) -> None:
    """The codes of the gateway's own endings mean what their table says."""
    assert invites_return(ending.code) is ending.reconnect


@pytest.mark.parametrize(
    ("code", "invited"),
    [
        (None, True),
        (1006, True),
        (1012, True),
        (1013, True),
        (1005, False),
        (1008, False),
        (1015, False),
        (2999, False),
        (3000, True),
        (3499, True),
        (3500, False),
        (3999, False),
        (4000, True),
        (4499, True),
        (4500, False),
        (5000, False),
    ],
)
def test_other_codes(code: int | None, invited: bool) -> None:
    """A broken link invites, and so do the ranges that are kept for it; everything else forbids."""
    assert invites_return(code) is invited


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda each: each.name)
def test_the_words_of_protocols(contract: Contract) -> None:
    """Closes that a protocol words itself mean what the ending means."""
    for ending, (code, reason) in contract.closes.items():
        assert invites_return(code, reason) is ending.reconnect, (code, reason)
