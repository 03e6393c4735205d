"""How the Redis engine connects and authenticates: passwords, users of limited rights, TLS."""

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from portward.engines.port import EngineUnavailable
from tests.certificates import make_certificates
from tests.engines.redis_fixtures import KEPT, ROOM, draft, engine_at
from tests.engines.redis_servers import Server, free_port, need_redis, servers
from tests.stores import stores

RIGHTS = (
    "~portward:* ~user_roles:* ~user_permissions:* ~revoked_token:*",
    "&portward:*",
    "+@read +@write +@pubsub +@connection +@scripting -@dangerous +info +time",
)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Server]:
    """A server that lets in one user, who may do what the engine needs, and nothing else."""
    need_redis()
    made = Server(tmp_path / "redis", "--save", "", "--requirepass", "root-secret")
    with servers(made) as (server,):
        words = " ".join(RIGHTS).split()
        said = server.cli(
            "ACL", "SETUSER", "gate", "on", ">hunter2", *words, password="root-secret"
        )
        assert said.strip() == "OK"
        yield server


async def test_a_user_of_limited_rights(guarded: Server) -> None:
    """The engine works with the rights that its page names."""
    async with engine_at(f"redis://gate:hunter2@127.0.0.1:{guarded.port}") as engine:
        await engine.streams.subscribe(ROOM)
        await engine.streams.publish(ROOM, draft("x"), KEPT, None)
        await stores(engine).directory.set_roles("ann", frozenset({"user"}))
        assert (await stores(engine).directory.rights("ann")).roles == {"user"}
        await engine.sweep()
        assert await engine.streams.channels() == (ROOM,)


async def test_missing_rights_are_told(guarded: Server) -> None:
    """What the user may not do is refused, by commands and by scripts, in the same word."""
    async with engine_at(f"redis://gate:hunter2@127.0.0.1:{guarded.port}") as engine:
        guarded.cli("ACL", "SETUSER", "gate", "-time", "-hvals", password="root-secret")
        with pytest.raises(EngineUnavailable, match="publish: NoPermission"):
            await engine.streams.publish(ROOM, draft("x"), KEPT, None)
        with pytest.raises(EngineUnavailable, match="HVALS: NoPermission"):
            await engine.presence.members(ROOM)


@pytest.mark.parametrize("credentials", ["", "gate:hunter3@", ":hunter3@"])
async def test_who_is_not_let_in_is_told(guarded: Server, credentials: str) -> None:
    """A wrong password is an error that names what went wrong, and no password."""
    with pytest.raises(EngineUnavailable, match="Authentication") as caught:
        async with engine_at(f"redis://{credentials}127.0.0.1:{guarded.port}"):
            pass
    assert "hunter" not in repr(caught.value)


# -- TLS


class Secure:
    """A server that speaks TLS on one port."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port


def _secure(folder: Path, host: str) -> Iterator[Secure]:
    need_redis()
    make_certificates(folder, host)
    port = free_port()
    made = Server(
        folder / "redis", "--save", "", "--tls-port", str(port),
        "--tls-cert-file", str(folder / "server.pem"), "--tls-key-file", str(folder / "key.pem"),
        "--tls-ca-cert-file", str(folder / "ca.pem"),
    )  # fmt: skip
    with servers(made):
        yield Secure(folder, port)


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Secure]:
    """A server with a certificate for its own address, which asks for one."""
    yield from _secure(tmp_path, "127.0.0.1")


@pytest.fixture
def misnamed(tmp_path: Path) -> Iterator[Secure]:
    """A server with a certificate for another address."""
    yield from _secure(tmp_path, "127.0.0.2")


def _words(secure: Secure, *names: str) -> str:
    files = {
        "ssl_ca_certs": "ca.pem", "ssl_certfile": "server.pem", "ssl_keyfile": "key.pem"
    }  # fmt: skip
    words = "&".join(f"{name}={secure.folder / files[name]}" for name in names)
    return f"rediss://127.0.0.1:{secure.port}?{words}"


ALL = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


async def test_a_verified_server(secure: Secure) -> None:
    """With its authority, and with a certificate of our own, everything works as without TLS."""
    async with engine_at(_words(secure, *ALL)) as engine:
        await engine.streams.subscribe(ROOM)
        stored = await engine.streams.publish(ROOM, draft("x" * 50_000), KEPT, None)
        assert stored.position.offset == 1


@pytest.fixture
def collected() -> Iterator[None]:
    """Collect what a failed TLS handshake leaves: asyncio may drop its transport without closing it."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("collected")
async def test_an_unknown_authority(secure: Secure) -> None:
    """A server whose authority is not known is not talked to."""
    with pytest.raises(EngineUnavailable):
        async with engine_at(_words(secure, "ssl_certfile", "ssl_keyfile")):
            pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("collected")
async def test_another_name(misnamed: Secure) -> None:
    """A server that shows a certificate of another is not talked to."""
    with pytest.raises(EngineUnavailable):
        async with engine_at(_words(misnamed, *ALL)):
            pass
