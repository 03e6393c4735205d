import pytest

from portward.cli.connect import loop as module
from portward.cli.connect.echo import TerminalEcho
from portward.cli.connect.screen import Screen
from portward.cli.terminal import CommandRefused
from tests.cli.connect.peers import Mirror, talk


async def test_everything_comes_back(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines are sent as they are typed, and what comes back is shown."""
    link = Mirror()
    await talk(TerminalEcho(link, Screen()), "/join x", "", "\x1b[2J")
    assert link.sent == ["/join x", "", "\x1b[2J"]
    assert capsys.readouterr() == ("/join x\n\n\\x1b[2J\n", "")


async def test_nothing_comes_back(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines that do not come back are counted."""
    monkeypatch.setattr(module, "_LAST_ANSWERS", 0.01)
    await talk(TerminalEcho(Mirror(dumb=True), Screen()), "one", "two")
    assert capsys.readouterr().err == "! 2 lines did not come back\n"


async def test_other_side_closes() -> None:
    """A connection that breaks ends both directions."""
    link = Mirror()
    link.end(None, "connection lost")
    with pytest.raises(CommandRefused, match=r"the connection is over: connection lost$"):
        await talk(TerminalEcho(link, Screen()), "one", "two")


async def test_a_close_with_a_code() -> None:
    """The code of the close is part of the error."""
    link = Mirror()
    link.end(3001, "")
    with pytest.raises(CommandRefused, match=r"the connection is over: closed \(3001\)$"):
        await talk(TerminalEcho(link, Screen()), stays=True)
