"""The reloadable keys of `tokens` and `tokens.claims`."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.reload.case import ClientSide, Observe, ReloadCase
from tests.reload.issuer import issuer_key, token, verifies
from tests.reload.process import GatewayProcess

A: Final = "Kq3vT9xw2LmZ7sRb5nYc8dHf1gJp4uXa"
B: Final = "Wd8nQ2yhT6kVc4mXr9sLb3jFz7pGa5eU"
C: Final = "Ue7cRt1bXz5mNq9wPk3vGs8dLh2yJf6a"
ONE: Final = {"tokens.secrets": [A]}


def _statuses(*tokens: Callable[[], str]) -> Observe:
    """Handshakes with these tokens, in turn."""

    async def observe(client: ClientSide) -> object:
        return [await client.status("/echo", token=make()) for make in tokens]

    return observe


def _by_secret(*secrets: str) -> Observe:
    return _statuses(*(lambda secret=secret: token(secret) for secret in secrets))


def _by_key(*kids: str) -> Observe:
    return _statuses(*(lambda kid=kid: issuer_key(kid).token() for kid in kids))


def _given(**claims: Any) -> Observe:
    """A handshake with a token of the one secret that says this."""
    return _statuses(lambda: token(A, **claims))


async def _signer(client: ClientSide) -> object:
    """Which secret the token is signed with that a client resumes its session with."""
    data = await client.authenticated(token(A))
    return [verifies(data["wsToken"], secret) for secret in (B, C)]


def _key_sets(gateway: GatewayProcess) -> None:
    for kid in ("a", "b"):
        gateway.web.put(f"/{kid}.json", {"keys": [issuer_key(kid).jwk]})


def _user(name: str, **claims: Any) -> Observe:
    """A field of the user that `auth_success` names."""

    async def observe(client: ClientSide) -> object:
        return (await client.authenticated(token(A, **claims)))["user"][name]

    return observe


def _joined(room: str, **claims: Any) -> Observe:
    """Whether a user of this token may join a room."""

    async def observe(client: ClientSide) -> object:
        speaker = await client.speaker(token(A, **claims))
        return (await speaker.ask("join", roomId=room))["type"]

    return observe


def _revoked(kind: str, value: str, **claims: Any) -> Observe:
    """What a client is answered whose token has an id that was revoked, under one of two names."""

    async def observe(client: ClientSide) -> object:
        await client.gateway.call("revoke", **{kind: value})
        return await client.status("/echo", token=token(A, **claims))

    return observe


def _claim(
    name: str,
    other: str,
    observe: Observe,
    seen: tuple[object, object],
    given: Mapping[str, object] | None = None,
) -> ReloadCase:
    """A claim that is read under another name after the reload."""
    key = f"tokens.claims.{name}"
    kept = {**ONE, **(given or {})}
    return ReloadCase(
        key=key,
        before=kept,
        after={**kept, key: other},
        observe=observe,
        seen_before=seen[0],
        seen_after=seen[1],
        note=other,
    )


async def _both(client: ClientSide) -> object:
    """Roles and a right, each from one text with blanks."""
    data = await client.authenticated(token(A, roles="a b"))
    joined = await _joined("split", roles="user", permissions="room.create other")(client)
    return data["user"]["roles"], joined


_RIGHT: Final = [{"channel": "rooms:hall", "allow": ["subscribe"]}]
_LATE: Final = -20.0
"""Seconds ago that a token ran out, within one leeway and beyond the other."""

TOKENS: Final = (
    ReloadCase(
        key="tokens.secrets",
        before=ONE,
        after={"tokens.secrets": [B]},
        observe=_by_secret(A, B),
        seen_before=[101, 401],
        seen_after=[401, 101],
    ),
    ReloadCase(
        key="tokens.secrets",
        note="in a file that was written again",
        before={"tokens.secrets_file": "{folder}/secrets"},
        after={"tokens.secrets_file": "{folder}/secrets"},
        files_before={"secrets": A},
        files_after={"secrets": f"{B}\n{A}"},
        observe=_by_secret(A, B),
        seen_before=[101, 401],
        seen_after=[101, 101],
    ),
    ReloadCase(
        key="tokens.secrets_file",
        before={"tokens.secrets_file": "{folder}/old"},
        after={"tokens.secrets_file": "{folder}/new"},
        files_before={"old": A, "new": B},
        observe=_by_secret(A, B),
        seen_before=[101, 401],
        seen_after=[401, 101],
    ),
    ReloadCase(
        key="tokens.session_secret",
        before={**ONE, "tokens.session_secret": B},
        after={**ONE, "tokens.session_secret": C},
        observe=_signer,
        seen_before=[True, False],
        seen_after=[False, True],
    ),
    ReloadCase(
        key="tokens.session_secret_file",
        before={**ONE, "tokens.session_secret_file": "{folder}/old-session"},
        after={**ONE, "tokens.session_secret_file": "{folder}/new-session"},
        files_before={"old-session": B, "new-session": C},
        observe=_signer,
        seen_before=[True, False],
        seen_after=[False, True],
    ),
    ReloadCase(
        key="tokens.jwks_url",
        before={"tokens.jwks_url": "{web}/a.json"},
        after={"tokens.jwks_url": "{web}/b.json"},
        prepare=_key_sets,
        observe=_by_key("a", "b"),
        seen_before=[101, 401],
        seen_after=[401, 101],
    ),
    ReloadCase(
        key="tokens.jwks_url",
        note="in place of secrets",
        before=ONE,
        after={"tokens.jwks_url": "{web}/a.json"},
        prepare=_key_sets,
        observe=_statuses(lambda: token(A), issuer_key("a").token),
        seen_before=[101, 401],
        seen_after=[401, 101],
    ),
    ReloadCase(
        key="tokens.public_keys",
        before={"tokens.public_keys": [issuer_key("a").pem]},
        after={"tokens.public_keys": [issuer_key("b").pem]},
        observe=_by_key("a", "b"),
        seen_before=[101, 401],
        seen_after=[401, 101],
    ),
    ReloadCase(
        key="tokens.public_keys_file",
        before={"tokens.public_keys_file": "{folder}/a.pem"},
        after={"tokens.public_keys_file": "{folder}/b.pem"},
        files_before={"a.pem": issuer_key("a").pem, "b.pem": issuer_key("b").pem},
        observe=_by_key("a", "b"),
        seen_before=[101, 401],
        seen_after=[401, 101],
    ),
    ReloadCase(
        key="tokens.issuer",
        before={**ONE, "tokens.issuer": "https://one.example"},
        after={**ONE, "tokens.issuer": "https://two.example"},
        observe=_statuses(
            lambda: token(A, iss="https://one.example"),
            lambda: token(A, iss="https://two.example"),
        ),
        seen_before=[101, 401],
        seen_after=[401, 101],
    ),
    ReloadCase(
        key="tokens.audience",
        before={**ONE, "tokens.audience": "one"},
        after={**ONE, "tokens.audience": "two"},
        observe=_statuses(lambda: token(A, aud="one"), lambda: token(A, aud=["two", "three"])),
        seen_before=[101, 401],
        seen_after=[401, 101],
    ),
    ReloadCase(
        key="tokens.leeway",
        before={**ONE, "tokens.leeway": "60s"},
        after={**ONE, "tokens.leeway": "1s"},
        observe=_statuses(lambda: token(A, exp=time.time() + _LATE)),
        seen_before=[101],
        seen_after=[401],
    ),
    ReloadCase(
        key="tokens.max_lifetime",
        before={**ONE, "tokens.max_lifetime": "1h"},
        after={**ONE, "tokens.max_lifetime": "1m"},
        observe=_given(),
        seen_before=[101],
        seen_after=[401],
    ),
    ReloadCase(
        key="tokens.require.<name>",
        before={**ONE, "tokens.require.token_use": "access"},
        after={**ONE, "tokens.require.token_use": ["service", "device"]},
        observe=_statuses(
            lambda: token(A, token_use="access"),
            lambda: token(A, token_use="device"),
            lambda: token(A),
        ),
        seen_before=[101, 401, 401],
        seen_after=[401, 101, 401],
    ),
    ReloadCase(
        key="tokens.require.<name>",
        note="that was not required before",
        before=ONE,
        after={**ONE, 'tokens.require."act.sub"': "svc"},
        observe=_statuses(lambda: token(A), lambda: token(A, act={"sub": "svc"})),
        seen_before=[101, 101],
        seen_after=[401, 101],
    ),
    ReloadCase(
        key="tokens.claims.split",
        before=ONE,
        after={**ONE, "tokens.claims.split": ["roles", "permissions"]},
        observe=_both,
        seen_before=(["a b"], "error"),
        seen_after=(["a", "b"], "room_joined"),
    ),
    _claim("sub", "uid", _user("userId", uid="bob"), ("ann", "bob")),
    _claim("email", "mail", _user("email", email="a@x", mail="b@x"), ("a@x", "b@x")),
    _claim("roles", "groups", _user("roles", roles=["r"], groups=["g"]), (["r"], ["g"])),
    _claim("roles", "ra.roles", _user("roles", roles="r", ra={"roles": ["g"]}), (["r"], ["g"])),
    _claim(
        "permissions",
        "rights",
        _joined("made-by-right", roles=["user"], rights=["room.create"]),
        ("error", "room_joined"),
    ),
    _claim(
        "workspace",
        "org",
        _joined("acme:hall", workspaceId="other", org="acme"),
        ("error", "room_joined"),
        {"namespaces.rooms.authorize": "membership"},
    ),
    _claim("jti", "tid", _revoked("jti", "gone-1", jti="here-1", tid="gone-1"), (101, 401)),
    _claim("sid", "login", _revoked("session", "gone-2", sid="here-2", login="gone-2"), (101, 401)),
    _claim(
        "channels",
        "streams",
        _joined("hall", channels=[], streams=_RIGHT),
        ("error", "room_joined"),
        {"namespaces.rooms.authorize": "claims"},
    ),
)
