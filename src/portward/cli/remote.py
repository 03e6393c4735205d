"""Calls to the admin API of a running gateway: `portward publish`, `revoke`, `connections` and `call`."""

import inspect
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property, wraps
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import httpx
import typer

from portward.admin.methods import all_methods
from portward.cli.config import ConfigOption, read, with_stored_secrets
from portward.cli.terminal import CommandRefused, UsageError, complain, line, shown, table
from portward.protocols.registry import PROTOCOLS
from portward.settings import Settings
from portward.settings.checks.listeners import is_loopback
from portward.settings.environment import API_KEY

METHODS: Final = all_methods(PROTOCOLS)

_TIMEOUT: Final = 10.0
_DOTS: Final = 2

AdminOption = Annotated[
    str | None,
    typer.Option(help="Address of the admin API; by default as configured.", metavar="URL"),
]
KeyOption = Annotated[
    str | None, typer.Option(envvar=API_KEY, help="Key of the admin API; by default as configured.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON, one line each.")]


class AdminDenied(CommandRefused):
    """The admin API has refused a call, with an error code."""

    def __init__(self, text: str, code: object) -> None:
        super().__init__(text)
        self.code = code


class AdminClient:
    """Calls methods of the admin API. Address and key are those given, else those of the settings."""

    def __init__(self, config: Path | None, address: str | None, key: str | None) -> None:
        self._config = config
        self._address = address
        self._key = key

    @cached_property
    def _settings(self) -> Settings:
        return with_stored_secrets(read(self._config)).settings

    @property
    def address(self) -> str:
        """The address of the admin API."""
        server = self._settings.server
        host = f"[{server.admin_host}]" if ":" in server.admin_host else server.admin_host
        return (self._address or f"http://{host}:{server.admin_port}").rstrip("/")

    def key(self, method: str) -> str:
        """Return the key for a method: by default the first configured one with its scope.

        Raises:
            UsageError: there is no such key, or it cannot be sent.
        """
        scope = METHODS[method].scope
        configured = (
            each.key.reveal()
            for each in self._settings.admin.api_keys
            if not each.hashed and (scope is None or scope in each.scopes)
        )
        key = self._key or next(configured, None)
        if key is None:
            raise UsageError(f"no API key for this: give --api-key or set {API_KEY}")
        if not (key.isascii() and key.isprintable()):
            raise UsageError("an API key is made of printable ASCII characters")
        return key

    def call(self, method: str, body: dict[str, Any]) -> Any:
        """Call a method; returns its result.

        Raises:
            UsageError: the address is invalid, or there is no key.
            CommandRefused: the API cannot be reached, or refuses the call.
        """
        headers = {"X-API-Key": self.key(method)}
        # The proxy settings of the environment must not apply to this machine.
        outside = not is_loopback(_host(self.address))
        try:
            with httpx.Client(timeout=_TIMEOUT, trust_env=outside) as client:
                url = f"{self.address}/api/{method}"
                result = _result(client.post(url, json=body, headers=headers))
        except httpx.HTTPError as error:
            raise CommandRefused(
                f"no answer from the admin API at {self.address}: {error}"
            ) from None
        if isinstance(result, dict) and result.get("missing"):
            missing = ", ".join(map(shown, result["missing"]))
            complain(f"portward: without the nodes that did not answer in time: {missing}")
        return result


def _host(address: str) -> str:
    try:
        parts = urlsplit(address)
        if parts.scheme in {"http", "https"} and parts.hostname:
            return parts.hostname
    except ValueError:
        pass  # the brackets do not match
    raise UsageError(f"{shown(address)} is not an address of the admin API")


def _result(answer: httpx.Response) -> Any:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if answer.is_success and isinstance(body, dict) and "result" in body:
        return body["result"]
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict):
        code = error.get("code")
        raise AdminDenied(f"refused: {shown(error.get('message'))} (code {shown(code)})", code)
    raise CommandRefused(f"this is no admin API: it answered with status {answer.status_code}")


def _client(
    config: ConfigOption = None, admin: AdminOption = None, api_key: KeyOption = None
) -> AdminClient:
    return AdminClient(config, admin, api_key)


def admin_command(function: Callable[..., None]) -> Callable[..., None]:
    """Make a command of a function whose first argument is an AdminClient: adds the options for it."""
    options = inspect.signature(_client).parameters
    _, *own = inspect.signature(function).parameters.values()
    every = [each.replace(kind=each.KEYWORD_ONLY) for each in (*own, *options.values())]

    @wraps(function)
    def command(**given: Any) -> None:
        function(_client(**{name: given.pop(name) for name in options}), **given)

    # typer reads the options of a command from both.
    command.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined] # see PEP 362
    command.__annotations__ = {each.name: each.annotation for each in every}
    return command


def parse_json(text: str) -> Any:
    """Parse JSON from the command line; `-` reads it from standard input.

    Raises:
        UsageError: it is no JSON.
    """
    try:
        return json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        hint = """a text is written '"like this"'"""
        raise UsageError(f"the data is not JSON ({error}); {hint}") from None


@admin_command
def call(
    api: AdminClient,
    method: Annotated[str, typer.Argument(help=f"One of {', '.join(METHODS)}.")],
    body: Annotated[str, typer.Argument(help="A JSON object, or - for standard input.")] = "{}",
) -> None:
    """Call a method of the admin API; print its result as JSON."""
    if method not in METHODS:
        raise UsageError(f"there is no method {shown(method)}; there are {', '.join(METHODS)}")
    line(json.dumps(api.call(method, parse_json(body)), indent=2))


@admin_command
def publish(
    api: AdminClient,
    channel: Annotated[str, typer.Argument(help="The channel, as in rooms:lobby.")],
    data: Annotated[str, typer.Argument(help="Any JSON, or - for standard input.")],
    key: Annotated[str | None, typer.Option(help="Its key, for snapshots.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Its type.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Repeated within five minutes, publishes once.")
    ] = None,
) -> None:
    """Publish to a channel; print its position."""
    optional = {"key": key, "type": kind, "idempotency_key": idempotency_key}
    body = {"channel": channel, "data": parse_json(data)}
    body |= {name: value for name, value in optional.items() if value is not None}
    result = api.call("publish", body)
    line(f"published at offset {shown(result['offset'])}, epoch {shown(result['epoch'])}")


@admin_command
def revoke(
    api: AdminClient,
    sub: Annotated[str | None, typer.Option(help="Everything a user was issued so far.")] = None,
    jti: Annotated[str | None, typer.Option(help="The token with this id.")] = None,
    session: Annotated[str | None, typer.Option(help="A session.")] = None,
    token: Annotated[str | None, typer.Option(help="A whole token.")] = None,
) -> None:
    """Revoke a credential: open connections end at once, new ones are refused."""
    named = {"user": sub, "jti": jti, "session": session, "token": token}
    chosen = {name: value for name, value in named.items() if value}
    if len(chosen) != 1:
        raise UsageError("name exactly one of --sub, --jti, --session and --token")
    if token is not None and token.count(".") != _DOTS:
        raise UsageError("--token takes a whole token, three parts with dots between them")
    ended = api.call("revoke", chosen)["ended"]
    line(f"revoked; {shown(ended)} open connection{'' if ended == 1 else 's'} ended")


@admin_command
def connections(
    api: AdminClient,
    user: Annotated[str | None, typer.Option(help="Only of this user.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Only at this endpoint.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List open connections, oldest first."""
    body = {name: value for name, value in (("user", user), ("endpoint", endpoint)) if value}
    result = api.call("connections", body)
    found = result["connections"]
    if as_json:
        for each in found:
            line(json.dumps(each))
        return
    columns = ("connection", "user", "endpoint", "address", "since (UTC)", "channels")
    table(columns, map(_row, found))
    line(f"\n{len(found)} of {shown(result['total'])} connections")


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    return (
        each["client"],
        each["user"] or "-",
        each["endpoint"],
        each["address"],
        moment(each["opened_at"]),
        ", ".join(each["channels"]) or "-",
    )


def moment(seconds: float) -> str:
    """Return a Unix time as text, in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
