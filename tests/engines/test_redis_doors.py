"""How the Redis engine is let in: passwords, users of limited rights, TLS."""

import datetime
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from portward.engines.port import EngineUnavailable
from tests.engines.redis_fixtures import KEPT, ROOM, draft, engine_at
from tests.engines.redis_servers import Server, free_port, need_redis, servers

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
        await engine.broker.listen(ROOM)
        await engine.broker.publish(ROOM, draft("x"), KEPT, None)
        await engine.directory.set_roles("ann", frozenset({"user"}))
        assert (await engine.directory.facts("ann")).roles == {"user"}
        await engine.sweep()
        assert await engine.broker.channels() == (ROOM,)


async def test_missing_rights_are_told(guarded: Server) -> None:
    """What the user may not do is refused, by commands and by scripts, in the same word."""
    async with engine_at(f"redis://gate:hunter2@127.0.0.1:{guarded.port}") as engine:
        guarded.cli("ACL", "SETUSER", "gate", "-time", "-hvals", password="root-secret")
        with pytest.raises(EngineUnavailable, match="publish: NoPermission"):
            await engine.broker.publish(ROOM, draft("x"), KEPT, None)
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


def _key(folder: Path, name: str) -> ec.EllipticCurvePrivateKey:
    key = ec.generate_private_key(ec.SECP256R1())
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return key


def _certificates(folder: Path, host: str) -> None:
    """An authority, and a certificate of it for `host`, as files."""
    authority_key, server_key = _key(folder, "ca"), _key(folder, "server")
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    _certificate(folder / "ca.pem", authority, authority_key, authority_key, None)
    _certificate(folder / "server.pem", authority, authority_key, server_key, host)


def _certificate(
    path: Path,
    authority: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    host: str | None,
) -> None:
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host or "test authority")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
    )
    if host is not None:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        builder = builder.add_extension(names, critical=False)
    path.write_bytes(builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


class Secure:
    """A server that speaks TLS on one port."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port


def _secure(folder: Path, host: str) -> Iterator[Secure]:
    need_redis()
    _certificates(folder, host)
    port = free_port()
    made = Server(
        folder / "redis", "--save", "", "--tls-port", str(port),
        "--tls-cert-file", str(folder / "server.pem"), "--tls-key-file", str(folder / "server.key"),
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
        "ssl_ca_certs": "ca.pem", "ssl_certfile": "server.pem", "ssl_keyfile": "server.key"
    }  # fmt: skip
    words = "&".join(f"{name}={secure.folder / files[name]}" for name in names)
    return f"rediss://127.0.0.1:{secure.port}?{words}"


ALL = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


async def test_a_verified_server(secure: Secure) -> None:
    """With its authority, and with a certificate of our own, everything works as without TLS."""
    async with engine_at(_words(secure, *ALL)) as engine:
        await engine.broker.listen(ROOM)
        stored = await engine.broker.publish(ROOM, draft("x" * 50_000), KEPT, None)
        assert stored.position.offset == 1


async def test_an_unknown_authority(secure: Secure) -> None:
    """A server whose authority is not known is not talked to."""
    with pytest.raises(EngineUnavailable):
        async with engine_at(_words(secure, "ssl_certfile", "ssl_keyfile")):
            pass


async def test_another_name(misnamed: Secure) -> None:
    """A server that shows a certificate of another is not talked to."""
    with pytest.raises(EngineUnavailable):
        async with engine_at(_words(misnamed, *ALL)):
            pass
