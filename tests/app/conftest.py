"""What the tests of the application share."""

from collections.abc import Iterator
from io import StringIO

import pytest

from portward.settings import Settings
from portward.telemetry import Telemetry
from portward.telemetry.telemetry import make_telemetry
from portward.testing import FakeClock


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """Where the parts tell what they do."""
    telemetry = make_telemetry(Settings(), FakeClock(), StringIO())
    yield telemetry
    telemetry.close()
