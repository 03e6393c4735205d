"""When clients are told to come back."""

import pytest

from portward.model.disconnects import Disconnect
from portward.model.replies import Parting
from portward.node.sessions.closing import RETRY, parting


@pytest.mark.parametrize("ending", Disconnect)
def test_a_temporary_ending_says_when_to_come_back(ending: Disconnect) -> None:
    """It is another moment for each client; endings for good name none."""
    told = {parting(ending, 0.0).retry for _ in range(50)}
    if not ending.reconnect:
        assert told == {None}
        return
    assert len(told) > 1
    assert all(each is not None and RETRY / 2 <= each <= 10 * RETRY for each in told)


@pytest.mark.parametrize("ending", Disconnect)
def test_an_earlier_advice_about_the_same_is_kept(ending: Disconnect) -> None:
    """A wait of a limit or a drain is never cut short, and that of a drain is not told a second time."""
    found = parting(ending, 60.0)
    if not ending.reconnect:
        assert found == Parting(ending=ending)
    elif ending in {Disconnect.TOO_MANY_REQUESTS, Disconnect.SHUTDOWN}:
        assert found.retry == 60_000
    else:
        assert found.retry is not None
        assert found.retry <= 10 * RETRY
    assert found.told is (ending is Disconnect.SHUTDOWN)
