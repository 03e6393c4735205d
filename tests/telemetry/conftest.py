from collections.abc import Iterator

import pytest

from tests.telemetry.fakes import OPENED


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close every audit a test opened."""
    yield
    while OPENED:
        OPENED.pop().close()
