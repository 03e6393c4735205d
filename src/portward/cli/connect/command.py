"""`portward connect`: its options and its start."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer
from msgspec.structs import replace

from portward.cli.config import ConfigOption
from portward.cli.connect import plain, sockets
from portward.cli.connect.addresses import DIALECTS, advice, dialect_of
from portward.cli.connect.asked import (
    ConnectOptions,
    credential_of,
    headers_of,
    source_of,
    subject_of,
    tls_of,
)
from portward.cli.connect.echo import EchoConversation
from portward.cli.connect.keyboard import Keyboard
from portward.cli.connect.memory import Memory
from portward.cli.connect.screen import Screen
from portward.cli.connect.session import converse
from portward.cli.connect.talk import Talk
from portward.cli.errors import CommandRefused, UsageError
from portward.cli.output import shown
from portward.cli.signing import TokenClaims
from portward.cli.state import state_folder
from portward.cli.tokens import DEFAULT_ROLE
from portward.client import (
    ClientError,
    ConnectionOptions,
    Ended,
    HandshakeRefused,
    LinkDial,
    RoomsClient,
    dialer,
)
from portward.client.endpoint import EndpointOptions
from portward.client.tokens import TokenProvider
from portward.client.transport import WebSocketDialer, checked_address
from portward.settings.checks.listeners import is_loopback
from portward.settings.environment import COOKIE, TOKEN

_STDIN: Final = 0


def connect(
    url: Annotated[str, typer.Argument(help="As in ws://127.0.0.1:8080/rooms.", metavar="URL")],
    *,
    token: Annotated[
        str | None, typer.Option("--token", envvar=TOKEN, help="An access token.")
    ] = None,
    sub: Annotated[
        str | None,
        typer.Option("--sub", help="Make tokens for this user with the configured secret."),
    ] = None,
    role: Annotated[
        list[str] | None, typer.Option("--role", help="With --sub: a role; repeat for more.")
    ] = None,
    workspace: Annotated[
        str | None, typer.Option("--workspace", help="With --sub: the workspace of the user.")
    ] = None,
    subscribe: Annotated[
        list[str] | None,
        typer.Option("--subscribe", help="A room, call or topic to hear; repeat for more."),
    ] = None,
    dialect: Annotated[
        str | None,
        typer.Option("--dialect", help=f"{', '.join(DIALECTS)}; by default as the path ends."),
    ] = None,
    cookie: Annotated[
        str | None,
        typer.Option(
            "--cookie", envvar=COOKIE, help="For live: cookies, as NAME=VALUE; NAME=VALUE."
        ),
    ] = None,
    profile: Annotated[
        str, typer.Option("--profile", help="Keeps clients of the same user apart.")
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every message of the gateway as it came.")
    ] = False,
    origin: Annotated[
        str | None, typer.Option("--origin", help="Say to come from a page of this origin.")
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            help="Send a header, as in 'X-Tenant: one'; repeat for more.",
            metavar="TEXT",
        ),
    ] = None,
    cacert: Annotated[
        Path | None,
        typer.Option("--cacert", help="Trust these certificates (PEM) for wss://.", metavar="FILE"),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Trust any certificate. For tests alone.")
    ] = False,
    config: ConfigOption = None,
) -> int:
    """Talk to a gateway: prints what arrives, sends what is typed. /help, once connected.

    Killed, and started again the same way, it takes up where it was and shows what it missed.
    """
    if sub is not None and token is not None and os.environ.get(TOKEN) != token:
        raise UsageError("give --token or --sub, not both")
    speaks = dialect_of(url, dialect)
    source = None
    if sub is not None:
        bearer = TokenClaims(sub=sub, roles=tuple(role or [DEFAULT_ROLE]), workspace=workspace)
        source = source_of(config, bearer)
    asked = ConnectOptions(
        url=url,
        user=sub if sub is not None else subject_of(token),
        token=source or token,
        credential=credential_of(sub, role, token, workspace),
        rooms=list(subscribe or ()),
        profile=profile,
        as_json=as_json,
        origin=origin if origin is not None or cookie is None else plain.own_origin(url),
        cookie=cookie,
        extra=headers_of(header or ()),
        tls=tls_of(url, cacert, insecure=insecure),
    )
    talks = {"rooms": _rooms, "echo": _echo, sockets.DIALECT: _sockets}
    try:
        talk = talks.get(speaks)
        return asyncio.run(talk(asked) if talk is not None else _plain(asked, speaks))
    except Ended as ended:
        code = f" ({ended.code})" if ended.code is not None else ""
        raise CommandRefused(f"the gateway ended it: {shown(ended)}{code}") from None
    except HandshakeRefused as refused:
        raise CommandRefused(f"{shown(url)}: {shown(refused)}{advice(refused.status)}") from None
    except ClientError as error:
        raise CommandRefused(f"{shown(url)}: {shown(error)}") from None


def _dial(asked: ConnectOptions, headers: dict[str, str]) -> LinkDial:
    try:
        return dialer(asked.url, headers=headers, tls=asked.tls)
    except ValueError as error:
        raise UsageError(f"{shown(asked.url)}: {error}") from None


def _warn(asked: ConnectOptions, screen: Screen) -> None:
    parts = urlsplit(asked.url)
    secret = "token" if asked.token else "cookie"
    sent = asked.token or asked.cookie
    if parts.scheme == "ws" and sent and not is_loopback(parts.hostname or ""):
        screen.bad(f"the {secret} travels unencrypted: this is ws://, not wss://")


async def _rooms(asked: ConnectOptions) -> int:
    screen, dial = Screen(as_json=asked.as_json), _dial(asked, asked.headers)
    _warn(asked, screen)
    memory = _memory(asked, screen)
    try:
        client = RoomsClient(
            asked.url,
            token=asked.token,
            session=memory.kept.session,
            rooms=memory.kept.rooms,
            raw=asked.as_json,
            dial=dial,
        )
        talk = Talk(client, screen, memory)
        async with client:
            await converse(_Beginning(talk, asked.rooms), Keyboard(_STDIN))
    finally:
        memory.close()
    return 1 if talk.failed and not os.isatty(_STDIN) else 0


class _Beginning:
    """A conversation that joins its rooms before the first line is read."""

    def __init__(self, talk: Talk, rooms: list[str]) -> None:
        self._talk = talk
        self._rooms = rooms
        self.listen = talk.listen
        self.leave = talk.leave

    async def type(self, keyboard: Keyboard) -> None:
        """Join the rooms, then carry out the typed lines."""
        await self._talk.begin(self._rooms)
        await self._talk.type(keyboard)


def _memory(asked: ConnectOptions, screen: Screen) -> Memory:
    try:
        memory = Memory(asked.url, asked.user, asked.profile)
    except OSError as error:
        raise CommandRefused(
            f"cannot keep anything in {state_folder()}: {error.strerror}"
        ) from None
    if not memory.mine:
        screen.note("another client of this user is running: nothing is kept; see --profile")
    if memory.kept.credential != asked.credential:
        # A session keeps the roles of the credential that it was opened with.
        memory.kept = replace(memory.kept, session=None, credential=asked.credential)
    return memory


async def _plain(asked: ConnectOptions, dialect: str) -> int:
    screen = Screen()
    _warn(asked, screen)
    # At a live endpoint the cookie is the credential, which the client sends itself.
    left_out = "Cookie" if dialect == "live" else ""
    given = {name: value for name, value in asked.headers.items() if name != left_out}
    connection = ConnectionOptions(
        dial=WebSocketDialer(headers=given, tls=asked.tls), retry_first=False
    )
    source = asked.cookie if dialect == "live" else asked.token
    try:
        url = checked_address(asked.url)
    except ValueError as error:
        raise UsageError(f"{shown(asked.url)}: {error}") from None
    options = EndpointOptions(url, TokenProvider(source, connection.clock), connection)
    origin = asked.origin or plain.own_origin(asked.url)
    talk = plain.Plain(dialect, options, screen, asked.rooms, origin)
    try:
        await talk.start()
        await converse(talk, Keyboard(_STDIN))
    finally:
        await talk.close()
    return 0


async def _sockets(asked: ConnectOptions) -> int:
    token = await asked.token() if callable(asked.token) else asked.token
    screen = Screen()
    _warn(asked, screen)
    try:
        dial = dialer(
            sockets.address(asked.url),
            headers=asked.headers,
            textual=sockets.textual,
            tls=asked.tls,
        )
    except ValueError as error:
        raise UsageError(f"{shown(asked.url)}: {error}") from None
    talk = sockets.SocketTalk(await dial(), screen, token, asked.rooms)
    await converse(talk, Keyboard(_STDIN))
    return 1 if talk.failed and not os.isatty(_STDIN) else 0


async def _echo(asked: ConnectOptions) -> int:
    token = await asked.token() if callable(asked.token) else asked.token
    headers = asked.headers | ({"Authorization": f"Bearer {token}"} if token else {})
    screen = Screen()
    _warn(asked, screen)
    link = await _dial(asked, headers)()
    screen.note("connected")
    await converse(EchoConversation(link, screen), Keyboard(_STDIN))
    return 0
