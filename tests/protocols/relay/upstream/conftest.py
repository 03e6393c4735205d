"""Connections to upstreams are tested on both event loops, as all code that uses sockets."""

from tests.transports.conftest import pytest_asyncio_loop_factories, tls

__all__ = ["pytest_asyncio_loop_factories", "tls"]
