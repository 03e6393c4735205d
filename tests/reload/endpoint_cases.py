"""The reloadable keys of endpoints, namespaces, roles, origins and the admin API."""

import asyncio
import hmac
import json
from hashlib import sha256
from itertools import count
from typing import Any, Final

import httpx

from portward.security.signing import parts, verify_message
from tests.e2e.listeners import EnvelopeClient
from tests.reload.case import ClientSide, Observe, ReloadCase
from tests.reload.issuer import token
from tests.reload.process import API_KEY, ORIGIN, SIGN_SECRET, WAIT, GatewayProcess
from tests.reload.tokens_cases import ONE, A

OTHER_KEY: Final = "another api key of the reload tests"
OTHER_SECRET: Final = "Hn5Xd9Rb2Vq7Kc4Zw8Lm1Ty6Gp3Jf0Us"
OTHER_ORIGIN: Final = "https://other.example.com"
_numbers = count()


def _origins(path: str, **given: str) -> Observe:
    """Handshakes of pages of two origins."""

    async def observe(client: ClientSide) -> object:
        return [
            await client.status(path, Origin=origin, **given)
            for origin in ("https://app.example.com", OTHER_ORIGIN)
        ]

    return observe


def _keys(*keys: str) -> Observe:
    """What the admin API answers to callers with these keys."""

    async def observe(client: ClientSide) -> object:
        statuses = []
        async with httpx.AsyncClient(trust_env=False, timeout=WAIT) as http:
            for key in keys:
                answer = await http.post(
                    f"{client.gateway.admin}/api/info", json={}, headers={"X-API-Key": key}
                )
                statuses.append(answer.status_code)
        return statuses

    return observe


def _roles(*roles: str) -> Observe:
    """Handshakes of users with one of these roles each."""

    async def observe(client: ClientSide) -> object:
        return [await client.status("/echo", token=token(A, roles=[role])) for role in roles]

    return observe


class _Worker:
    """A user of a workspace: Socket.IO over a WebSocket, packet by packet."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._asked = count()

    async def until(self, start: str) -> Any:
        """The JSON of the next packet that begins so."""
        while True:
            text = await asyncio.wait_for(self._socket.recv(), WAIT)
            if text == "2":
                await self._socket.send("3")
            elif text.startswith(start):
                return json.loads(text[len(start) :])

    async def call(self, event: str, **data: object) -> Any:
        """Emit an event; what it is acknowledged with."""
        number = next(self._asked)
        await self._socket.send(f"42{number}{json.dumps([event, data])}")
        return (await self.until(f"43{number}"))[0]


async def _worker(client: ClientSide, **claims: object) -> _Worker:
    worker = _Worker(await client.open("/socket.io/?EIO=4&transport=websocket"))
    await worker.until("0")
    given = {"workspaceId": "w1", **claims}
    await worker._socket.send("40" + json.dumps({"token": token(A, **given)}))
    await worker.until("40")
    return worker


async def _acts(client: ClientSide) -> object:
    """Whether the role of a user allows an action."""
    worker = await _worker(client, roles=["clerk"])
    answer = await worker.call("dashboard_action", action="refresh")
    return answer.get("error") == "PERMISSION_DENIED"


async def _verdict(client: ClientSide) -> tuple[str, str]:
    """Decide on a request; the path that the verdict is posted to, and its signature."""
    web = client.gateway.web
    before = {path: len(posts) for path, posts in web.posts.items()}
    room = "workspace:w1:approvals"
    asked = await client.gateway.call(
        "approval_request", workspace="w1", title=f"no. {next(_numbers)}", data={}
    )
    worker = await _worker(client, permissions=["approvals.decide"])
    assert await worker.call("join_room", room=room) == {"joined": room}
    number = asked["id"]
    decided = await worker.call("approval_response", requestId=number, decision="approve")
    assert decided == {"ok": True}
    for _ in range(int(WAIT * 20)):
        for path, posts in web.posts.items():
            for headers, body in posts[before.get(path, 0) :]:
                if json.loads(body)["requestId"] == number:
                    return path, _signed_by(headers.get("x-portward-signature", ""), body)
        await asyncio.sleep(0.05)
    raise AssertionError("no verdict was posted")


def _signed_by(signature: str, body: bytes) -> str:
    """The secret that a posted verdict is signed with."""
    for secret in (SIGN_SECRET, OTHER_SECRET):
        if signature.endswith(hmac.new(secret.encode(), body, sha256).hexdigest()):
            return secret
    return ""


async def _posted_to(client: ClientSide) -> object:
    return (await _verdict(client))[0]


async def _posted_by(client: ClientSide) -> object:
    return (await _verdict(client))[1]


def _webhooks(gateway: GatewayProcess) -> None:
    for path in ("/old", "/new"):
        gateway.web.put(path, {})


async def _speaker(client: ClientSide, path: str, **claims: object) -> EnvelopeClient:
    speaker = EnvelopeClient(await client.open(path))
    answer = await speaker.ask("auth", token=token(A, **claims))
    assert answer["type"] == "auth_success", answer
    return speaker


def _room(name: str, client: ClientSide) -> Any:
    return client.gateway.call("rooms_set", id=name, name=name)


async def _signature(client: ClientSide) -> object:
    """Which secret a message is signed with."""
    await _room("signed", client)
    speaker = await _speaker(client, "/signed", roles=["user"])
    await speaker.ask("join", roomId="signed")
    await speaker.say("message", roomId="signed", content="the same")
    data = (await speaker.hear_until("message"))["data"]
    covered = parts(data["id"], data["userId"], data["content"], data["timestamp"])
    return next(
        (
            secret
            for secret in (SIGN_SECRET, OTHER_SECRET)
            if verify_message("rooms:signed", covered, data["signature"], secret.encode())
        ),
        "",
    )


async def _says(client: ClientSide) -> object:
    """What a user is answered who says something in a room."""
    await _room("hall", client)
    speaker = await _speaker(client, "/rooms", roles=["user"])
    assert (await speaker.ask("join", roomId="hall"))["type"] == "room_joined"
    answer = await speaker.ask("message", roomId="hall", content="hello")
    return answer["type"]


async def _enters(client: ClientSide) -> object:
    await _room("hall", client)
    speaker = await _speaker(client, "/rooms", roles=["user"])
    return (await speaker.ask("join", roomId="hall"))["type"]


async def _enters_asked(client: ClientSide) -> object:
    """Whether the application, asked over HTTP, lets a user into a channel."""
    name = f"room-{next(_numbers)}"
    await client.gateway.call("rooms_set", id=name, name=name, namespace="asked")
    speaker = await _speaker(client, "/asked", sub=f"user-{next(_numbers)}")
    return (await speaker.ask("join", roomId=name))["type"]


async def _preflight(client: ClientSide) -> object:
    """Whether a page is told that it may send a header of its own."""
    async with httpx.AsyncClient(trust_env=False, timeout=WAIT) as http:
        answer = await http.options(
            f"{client.gateway.public.replace('ws', 'http', 1)}/socket.io/",
            params={"EIO": "4", "transport": "polling"},
            headers={
                "Origin": ORIGIN,
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "x-tenant",
            },
        )
    return "x-tenant" in answer.headers.get("access-control-allow-headers", "").lower()


def _application(gateway: GatewayProcess) -> None:
    gateway.web.put("/allow", {"allow": True})
    gateway.web.put("/deny", {"allow": False})


_HOOK: Final = "endpoints.workspaces.approval_webhook"
_HOOKED: Final = {**ONE, _HOOK: "{web}/old"}

ENDPOINTS: Final = (
    ReloadCase(
        key="gate.allowed_origins",
        before={"gate.allowed_origins": ["https://app.example.com"]},
        after={"gate.allowed_origins": [OTHER_ORIGIN]},
        observe=_origins("/rooms"),
        seen_before=[101, 403],
        seen_after=[403, 101],
    ),
    ReloadCase(
        key="endpoints.<name>.allowed_origins",
        before={},
        after={"endpoints.rooms.allowed_origins": [OTHER_ORIGIN]},
        observe=_origins("/rooms"),
        seen_before=[101, 403],
        seen_after=[403, 101],
    ),
    ReloadCase(
        key="endpoints.<name>.allowed_headers",
        before=ONE,
        after={**ONE, "endpoints.workspaces.allowed_headers": ["X-Tenant"]},
        observe=_preflight,
        seen_before=False,
        seen_after=True,
    ),
    ReloadCase(
        key="endpoints.<name>.roles",
        before={**ONE, "endpoints.echo.roles": ["staff"]},
        after={**ONE, "endpoints.echo.roles": ["guest"]},
        observe=_roles("staff", "guest"),
        seen_before=[101, 403],
        seen_after=[403, 101],
    ),
    ReloadCase(
        key="roles.<name>",
        before={**ONE, "roles.clerk": ["dashboard.view"]},
        after={**ONE, "roles.clerk": ["dashboard.*"]},
        observe=_acts,
        seen_before=True,
        seen_after=False,
    ),
    ReloadCase(
        key="admin.api_keys",
        before={"admin.api_keys": [API_KEY]},
        after={"admin.api_keys": [OTHER_KEY]},
        observe=_keys(API_KEY, OTHER_KEY),
        seen_before=[200, 401],
        seen_after=[401, 200],
    ),
    ReloadCase(
        key="admin.api_keys_file",
        before={"admin.api_keys": None, "admin.api_keys_file": "{folder}/old-keys"},
        after={"admin.api_keys": None, "admin.api_keys_file": "{folder}/new-keys"},
        files_before={"old-keys": API_KEY, "new-keys": OTHER_KEY},
        observe=_keys(API_KEY, OTHER_KEY),
        seen_before=[200, 401],
        seen_after=[401, 200],
    ),
    ReloadCase(
        key="endpoints.<name>.approval_webhook",
        before=_HOOKED,
        after={**ONE, _HOOK: "{web}/new"},
        prepare=_webhooks,
        observe=_posted_to,
        seen_before="/old",
        seen_after="/new",
    ),
    ReloadCase(
        key="endpoints.<name>.approval_webhook_secret",
        before={**_HOOKED, f"{_HOOK}_secret": SIGN_SECRET},
        after={**_HOOKED, f"{_HOOK}_secret": OTHER_SECRET},
        prepare=_webhooks,
        observe=_posted_by,
        seen_before=SIGN_SECRET,
        seen_after=OTHER_SECRET,
    ),
    ReloadCase(
        key="endpoints.<name>.approval_webhook_secret_file",
        before={**_HOOKED, f"{_HOOK}_secret_file": "{folder}/old-secret"},
        after={**_HOOKED, f"{_HOOK}_secret_file": "{folder}/new-secret"},
        files_before={"old-secret": SIGN_SECRET, "new-secret": OTHER_SECRET},
        prepare=_webhooks,
        observe=_posted_by,
        seen_before=SIGN_SECRET,
        seen_after=OTHER_SECRET,
    ),
    ReloadCase(
        key="endpoints.<name>.sign_secret",
        before=ONE,
        after={**ONE, "endpoints.signed.sign_secret": OTHER_SECRET},
        observe=_signature,
        seen_before=SIGN_SECRET,
        seen_after=OTHER_SECRET,
    ),
    ReloadCase(
        key="endpoints.<name>.sign_secret_file",
        before={
            **ONE,
            "endpoints.signed.sign_secret": None,
            "endpoints.signed.sign_secret_file": "{folder}/old-sign",
        },
        after={
            **ONE,
            "endpoints.signed.sign_secret": None,
            "endpoints.signed.sign_secret_file": "{folder}/new-sign",
        },
        files_before={"old-sign": SIGN_SECRET, "new-sign": OTHER_SECRET},
        observe=_signature,
        seen_before=SIGN_SECRET,
        seen_after=OTHER_SECRET,
    ),
    ReloadCase(
        key="namespaces.<name>.publish",
        before=ONE,
        after={**ONE, "namespaces.rooms.publish": "server"},
        observe=_says,
        seen_before="ack",
        seen_after="error",
    ),
    ReloadCase(
        key="namespaces.<name>.authorize",
        before=ONE,
        after={**ONE, "namespaces.rooms.authorize": "deny"},
        observe=_enters,
        seen_before="room_joined",
        seen_after="error",
    ),
    ReloadCase(
        key="namespaces.<name>.authorize_url",
        before={**ONE, "namespaces.asked.authorize_url": "{web}/deny"},
        after={**ONE, "namespaces.asked.authorize_url": "{web}/allow"},
        prepare=_application,
        observe=_enters_asked,
        seen_before="error",
        seen_after="room_joined",
    ),
)
