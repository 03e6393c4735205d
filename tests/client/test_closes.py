import pytest

from docs.contract import CONTRACTS, Contract
from docs.typescript import inviting_closes
from portward.client.closes import INVITING, invites_return
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


def test_exceptions_are_those_of_the_protocols() -> None:
    """The exceptions of the client are the closes of protocols that differ from their code."""
    differing = {
        close
        for contract in CONTRACTS
        for ending, close in contract.closes.items()
        if ending.reconnect is not invites_return(close[0])
    }
    assert differing == INVITING


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1008, "policy violation"),
        (1008, "connection timeout"),
        (1008, "Connection timeout "),
        (1008, "Authentication timeout"),
        (1002, "Connection timeout"),
        (3500, "back-pressure threshold exceeded"),
        (4500, "Connection timeout"),
    ],
)
def test_words_of_another_close(code: int, reason: str) -> None:
    """A reason invites with its own code alone, and as it is written."""
    assert invites_return(code, reason) is False


@pytest.mark.parametrize(
    ("codes", "own"),
    [
        ({3001: False}, {}),
        ({1001: True}, {"1001 go": False}),
        ({}, {"3001 go": False}),
        ({}, {"4200 go": False}),
    ],
)
def test_a_table_that_the_clients_could_not_follow(
    codes: dict[int, bool], own: dict[str, bool]
) -> None:
    """A close that forbids where its code invites is refused when the tables of clients are made."""
    with pytest.raises(AssertionError, match="forbids"):
        inviting_closes(codes, own)


def test_the_table_of_the_clients() -> None:
    """A close is in it when no range of codes, and no shorter entry, says the same."""
    codes = {1000: False, 1001: True, 3001: True, 3500: False}
    own = {"1001 bye": True, "1008 slow": True, "1008 bad": False, "3001 go": True}
    assert inviting_closes(codes, own) == ["1001", "1008 slow"]
