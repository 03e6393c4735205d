"""A Redis for the tests of this folder, emptied before each of them."""

from collections.abc import Iterator

import pytest

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
