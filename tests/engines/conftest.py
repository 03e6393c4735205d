"""A Redis for the tests of this folder, emptied before each of them; and which tests no engine can do."""

import inspect
from collections.abc import Iterator

import pytest

from portward.testing.engine_contract import EngineContract
from tests.engines.redis_servers import Cluster, Server, cluster_member, need_redis, servers


@pytest.fixture(scope="session")
def common_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that leave it running."""
    need_redis()
    with servers(Server(tmp_path_factory.mktemp("redis"), "--save", "")) as (server,):
        yield server


@pytest.fixture
def redis(common_redis: Server) -> Server:
    """A server that knows nothing."""
    common_redis.cli("FLUSHALL")
    return common_redis


@pytest.fixture(scope="session")
def formed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster for all tests that leave it whole."""
    need_redis()
    folder = tmp_path_factory.mktemp("cluster")
    with servers(*(cluster_member(folder / f"{n}") for n in range(3))) as members:
        cluster = Cluster(members)
        cluster.form()
        yield cluster


@pytest.fixture
def cluster(formed: Cluster) -> Cluster:
    """A cluster that knows nothing."""
    formed.empty()
    return formed


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a clock that leaps, for an engine whose time is that of a server.

    What such a server says of the time things live is in `test_redis_expiry.py`.
    """
    out = [each for each in items if _needs_a_leap(each)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [each for each in items if each not in out]


def _needs_a_leap(item: pytest.Item) -> bool:
    made = getattr(item, "cls", None)
    if made is None or not issubclass(made, EngineContract):
        return False
    leaps = inspect.getattr_static(made, "leap") is not inspect.getattr_static(
        EngineContract, "leap"
    )
    return not leaps and "leap" in getattr(item, "fixturenames", ())
