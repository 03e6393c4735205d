"""One reloadable key: the settings before and after, and what a client sees with each."""

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tests.e2e.listeners import PATIENCE, EnvelopeClient
from tests.reload.process import ORIGIN, GatewayProcess

_addresses = count(2)


class ClientSide:
    """What a client of the running gateway can do; one for both observations of a case.

    Each case comes from an address of its own, so that no limit of another one is felt. `kept` is for
    what the first observation leaves to the second, `stack` for connections that stay open.
    """

    def __init__(self, gateway: GatewayProcess, stack: AsyncExitStack) -> None:
        self.gateway = gateway
        self.stack = stack
        self.kept: dict[str, Any] = {}
        number = next(_addresses)
        self.address = f"127.8.{number // 250}.{number % 250 + 1}"

    async def open(
        self, path: str = "/rooms", *, token: str | None = None, **headers: str
    ) -> ClientConnection:
        """A connection that stays open until the case ends; `_` in a header's name stands for `-`.

        Raises:
            InvalidStatus: the handshake is refused.
        """
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        opening = connect(
            f"{self.gateway.public}{path}",
            additional_headers=given,
            local_addr=(self.address, 0),
            open_timeout=PATIENCE,
            proxy=None,
        )
        return await self.stack.enter_async_context(opening)

    async def status(self, path: str, *, token: str | None = None, **headers: str) -> int:
        """The status a handshake is answered with."""
        try:
            socket = await self.open(path, token=token, **headers)
        except InvalidStatus as refused:
            return refused.response.status_code
        await socket.close()
        return 101

    async def page(self, path: str = "/live", cookie: str = "session=s1") -> ClientConnection:
        """A connection of a page whose browser sends cookies along."""
        return await self.open(path, Origin=ORIGIN, Cookie=cookie)

    async def speaker(self, token: str | None = None) -> EnvelopeClient:
        """A client of `/rooms`; with a token an authenticated one."""
        speaker = EnvelopeClient(await self.open())
        if token is not None:
            answer = await speaker.ask("auth", token=token)
            assert answer["type"] == "auth_success", answer
        return speaker

    async def authenticated(self, token: str) -> Any:
        """The answer to a token in the first message: the data of `auth_success`, or the code."""
        answer = await (await self.speaker()).ask("auth", token=token)
        data = answer["data"]
        return data if answer["type"] == "auth_success" else data["code"]


Observe = Callable[[ClientSide], Awaitable[object]]


@dataclass(frozen=True, kw_only=True)
class ReloadCase:
    """A key as the reference writes it (`endpoints.<name>.roles`), and the proof that it reloads.

    `before` and `after` are settings over `BASE` by dotted key; texts may hold `{folder}` and `{web}`.
    They differ in this key, or, for a key that names a file, in what is in the file: `files_before` and
    `files_after` are written into the folder first. `observe` is what a client sees: it is called before
    and after, and must give `seen_before` and `seen_after`. `prepare` sets the web server up.
    """

    key: str
    before: Mapping[str, object]
    after: Mapping[str, object]
    observe: Observe
    seen_before: object
    seen_after: object
    files_before: Mapping[str, str] = field(default_factory=dict)
    files_after: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[GatewayProcess], None] = lambda _: None
    note: str = ""
    """Tells apart two cases of one key."""

    @property
    def name(self) -> str:
        """The id of the test."""
        return f"{self.key} {self.note}".strip()

    def announced(self, line: str) -> bool:
        """Whether the process announced that this key was reloaded."""
        pattern = re.escape(self.key).replace("<name>", ".+")
        changed = line.removeprefix("reloaded: ").partition("; needs a restart")[0]
        return any(re.fullmatch(pattern, each) for each in changed.split(", "))


async def run(case: ReloadCase, gateway: GatewayProcess) -> None:
    """Observe with the settings before, reload, and observe again."""
    case.prepare(gateway)
    for name, text in case.files_before.items():
        (gateway.folder / name).write_text(text)
    line = await gateway.configure(case.before)
    assert line.startswith("reloaded"), line
    assert "restart" not in line, line
    async with AsyncExitStack() as stack:
        client = ClientSide(gateway, stack)
        assert await case.observe(client) == case.seen_before
        for name, text in case.files_after.items():
            (gateway.folder / name).write_text(text)
        line = await gateway.configure(case.after)
        assert case.announced(line), line
        assert "restart" not in line, line
        assert await case.observe(client) == case.seen_after
