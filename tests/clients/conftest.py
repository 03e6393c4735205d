"""One gateway process for the tests of a file."""

from collections.abc import Iterator

import pytest

from tests.clients.gateway import Process, gateway_process
from tests.clients.services import services


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A running gateway without limits, in development, with everything behind it."""
    with (
        services() as behind,
        gateway_process(tmp_path_factory.mktemp("gateway"), behind.settings) as running,
    ):
        yield running
