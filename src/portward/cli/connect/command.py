"""`portward connect`: its command line and its start."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from portward.cli.config import ConfigOption
from portward.cli.connect.echo import open_echo
from portward.cli.connect.json_protocols import JSON_PROTOCOLS, open_json
from portward.cli.connect.keyboard import Keyboard
from portward.cli.connect.loop import TerminalProtocol, ending, run
from portward.cli.connect.options import (
    DEFAULT_PATHS,
    PROTOCOLS,
    ConnectOptions,
    credential_of,
    headers_of,
    protocol_of,
    source_of,
    subject_of,
    tls_of,
)
from portward.cli.connect.rooms import open_rooms
from portward.cli.connect.screen import Screen
from portward.cli.connect.socketio import open_socketio
from portward.cli.signing import TokenClaims
from portward.cli.terminal import CommandRefused, UsageError, shown
from portward.cli.tokens import DEFAULT_ROLE
from portward.client import ClientError, Ended, HandshakeRefused
from portward.client.transport import checked_address, own_origin
from portward.settings.checks.listeners import is_loopback
from portward.settings.environment import COOKIE, TOKEN

_STDIN: Final = 0
_OPEN: Final[dict[str, Callable[[ConnectOptions, Screen], Awaitable[TerminalProtocol]]]] = {
    "rooms": open_rooms,
    "socketio": open_socketio,
    "echo": open_echo,
    **dict.fromkeys(JSON_PROTOCOLS, open_json),
}
_ADVICE: Final = {
    401: "give --token or --sub, for live --cookie; `portward inspect TOKEN` says what is wrong with one",
    403: "the page's origin (--origin) or the user's roles are not allowed there",
    404: f"check the path: by default there are {DEFAULT_PATHS}",
}
"""What to change after a rejected handshake, by its status."""


def connect(
    url: Annotated[str, typer.Argument(help="As in ws://127.0.0.1:8080/rooms.", metavar="URL")],
    *,
    token: Annotated[str | None, typer.Option(envvar=TOKEN, help="An access token.")] = None,
    sub: Annotated[
        str | None, typer.Option(help="Make tokens for this user with the configured secret.")
    ] = None,
    role: Annotated[
        list[str] | None, typer.Option(help="With --sub: a role; repeat for more.")
    ] = None,
    workspace: Annotated[
        str | None, typer.Option(help="With --sub: the workspace of the user.")
    ] = None,
    subscribe: Annotated[
        list[str] | None, typer.Option(help="A room, call or topic to receive; repeat for more.")
    ] = None,
    dialect: Annotated[
        str | None, typer.Option(help=f"{', '.join(PROTOCOLS)}; by default as the path ends.")
    ] = None,
    cookie: Annotated[
        str | None,
        typer.Option(envvar=COOKIE, help="For live: cookies, as NAME=VALUE; NAME=VALUE."),
    ] = None,
    profile: Annotated[
        str, typer.Option(help="Separates the stored state of clients of one user.")
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every message of the gateway as it came.")
    ] = False,
    origin: Annotated[str | None, typer.Option(help="Send this Origin, as a page would.")] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(help="Send a header, as in 'X-Tenant: one'; repeat for more.", metavar="TEXT"),
    ] = None,
    cacert: Annotated[
        Path | None, typer.Option(help="Trust these certificates (PEM) for wss://.", metavar="FILE")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Trust any certificate. For tests only.")
    ] = False,
    config: ConfigOption = None,
) -> int:
    """Talk to a gateway: prints what arrives, sends what is typed. /help, once connected.

    After a kill, the same command resumes where it was and shows what it missed.
    """
    if sub is not None and token is not None and os.environ.get(TOKEN) != token:
        raise UsageError("give --token or --sub, not both")
    protocol, claims = protocol_of(url, dialect), None
    if sub is not None:
        claims = TokenClaims(sub=sub, roles=tuple(role or [DEFAULT_ROLE]), workspace=workspace)
    options = ConnectOptions(
        url=_checked(url),
        protocol=protocol,
        user=subject_of(token) if sub is None else sub,
        token=token if claims is None else source_of(config, claims),
        credential=credential_of(claims, token),
        subscribe=tuple(subscribe or ()),
        profile=profile,
        as_json=as_json,
        origin=own_origin(url) if origin is None and cookie is not None else origin,
        cookie=cookie,
        headers=headers_of(header or ()),
        tls=tls_of(url, cacert, insecure=insecure),
    )
    try:
        return asyncio.run(_talk(options))
    except Ended as ended:
        raise CommandRefused(ending(shown(ended), ended.code)) from None
    except HandshakeRefused as refused:
        advice = _ADVICE.get(refused.status)
        text = f"{shown(url)}: {shown(refused)}{f'; {advice}' if advice else ''}"
        raise CommandRefused(text) from None
    except ClientError as error:
        raise CommandRefused(f"{shown(url)}: {shown(error)}") from None


async def _talk(options: ConnectOptions) -> int:
    screen = Screen(as_json=options.as_json)
    parts = urlsplit(options.url)
    secret = "token" if options.token else "cookie" if options.cookie else ""
    if secret and parts.scheme == "ws" and not is_loopback(parts.hostname or ""):
        screen.bad(f"the {secret} travels unencrypted: this is ws://, not wss://")
    protocol = await _OPEN[options.protocol](options, screen)
    try:
        await run(protocol, Keyboard(_STDIN))
    finally:
        await protocol.close()
    return 1 if protocol.failed and not os.isatty(_STDIN) else 0


def _checked(url: str) -> str:
    try:
        return checked_address(url)
    except ValueError as error:
        raise UsageError(f"{shown(url)}: {error}") from None
