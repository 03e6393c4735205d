"""When clients are told to come back."""

import pytest

from portward.model.endings import Ending
from portward.node.closing import RETRY, retry_after


@pytest.mark.parametrize("ending", Ending)
def test_a_temporary_ending_says_when_to_come_back(ending: Ending) -> None:
    """It is another moment for each client; endings for good name none."""
    told = {retry_after(ending) for _ in range(50)}
    if not ending.reconnect:
        assert told == {None}
        return
    assert len(told) > 1
    assert all(each is not None and RETRY / 2 <= each <= 10 * RETRY for each in told)
