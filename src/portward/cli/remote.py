"""`portward publish`, `revoke` and `connections`: calls to the admin API of a running gateway."""

import json
import sys
from datetime import UTC, datetime
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import urlsplit

import httpx
import typer

from portward.cli.config import ConfigOption, known, read
from portward.cli.errors import CommandRefused, UsageError
from portward.cli.output import line, shown, table
from portward.settings import Settings
from portward.settings.checks.listeners import is_loopback
from portward.settings.environment import API_KEY
from portward.settings.keys import ApiKey, Scope

_TIMEOUT: Final = 10.0
_DOTS: Final = 2

AdminOption = Annotated[
    str | None,
    typer.Option(
        "--admin", help="Address of the admin API; by default as configured.", metavar="URL"
    ),
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--api-key", envvar=API_KEY, help="Key of the admin API; by default as configured."
    ),
]


class AdminDenied(CommandRefused):
    """The admin API has refused a call, with an error code."""

    def __init__(self, text: str, code: object) -> None:
        super().__init__(text)
        self.code = code


class AdminClient(NamedTuple):
    """The address of the admin API, and a key for it."""

    address: str
    key: str

    def call(self, method: str, body: dict[str, Any]) -> Any:
        """Call a method; returns its result.

        Raises:
            CommandRefused: the API cannot be reached, or refuses the call.
        """
        # The proxy settings of the environment must not apply here.
        outside = not is_loopback(_host(self.address))
        try:
            with httpx.Client(timeout=_TIMEOUT, trust_env=outside) as client:
                answer = client.post(
                    f"{self.address.rstrip('/')}/api/{method}",
                    json=body,
                    headers={"X-API-Key": self.key},
                )
        except httpx.HTTPError as error:
            raise CommandRefused(
                f"no answer from the admin API at {self.address}: {error}"
            ) from None
        return _result(answer)


def _host(address: str) -> str:
    """Return the host of an address.

    Raises:
        UsageError: it is no valid address.
    """
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


def reach(settings: Settings, admin: str | None, key: str | None, scope: Scope) -> AdminClient:
    """Find the admin API: from the options, else from the settings.

    Raises:
        UsageError: no key is given, and no configured key can be used.
    """
    server = settings.server
    host = f"[{server.admin_host}]" if ":" in server.admin_host else server.admin_host
    address = admin or f"http://{host}:{server.admin_port}"
    chosen = key or next(
        (each.key.reveal() for each in settings.admin.api_keys if _usable(each, scope)), None
    )
    if chosen is None:
        raise UsageError(f"no API key for this: give --api-key or set {API_KEY}")
    if not (chosen.isascii() and chosen.isprintable()):
        raise UsageError("an API key is made of printable ASCII characters")
    return AdminClient(address, chosen)


def _usable(key: ApiKey, scope: Scope) -> bool:
    return not key.hashed and scope in key.scopes


def publish(
    channel: Annotated[str, typer.Argument(help="The channel, as in rooms:lobby.")],
    data: Annotated[str, typer.Argument(help="Any JSON, or - for standard input.")],
    *,
    key: Annotated[str | None, typer.Option("--key", help="Its key, for snapshots.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Its type.")] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Repeated within five minutes, publishes once.")
    ] = None,
    config: ConfigOption = None,
    admin: AdminOption = None,
    api_key: KeyOption = None,
) -> None:
    """Publish to a channel; print its position."""
    body = {"channel": channel, "data": _json(data)}
    optional = {"key": key, "type": kind, "idempotency_key": idempotency_key}
    body |= {name: value for name, value in optional.items() if value is not None}
    api = reach(known(read(config)).settings, admin, api_key, Scope.PUBLISH)
    result = api.call("publish", body)
    line(f"published at offset {shown(result['offset'])}, epoch {shown(result['epoch'])}")


def _json(text: str) -> Any:
    try:
        return json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        hint = """a text is written '"like this"'"""
        raise UsageError(f"the data is not JSON ({error}); {hint}") from None


def revoke(
    sub: Annotated[str | None, typer.Option("--sub", help="All a user was issued so far.")] = None,
    jti: Annotated[str | None, typer.Option("--jti", help="The token with this id.")] = None,
    session: Annotated[str | None, typer.Option("--session", help="A session.")] = None,
    token: Annotated[str | None, typer.Option("--token", help="A whole token.")] = None,
    config: ConfigOption = None,
    admin: AdminOption = None,
    api_key: KeyOption = None,
) -> None:
    """Take a credential back: open connections end at once, new ones are refused."""
    named = {"user": sub, "jti": jti, "session": session, "token": token}
    chosen = {name: value for name, value in named.items() if value}
    if len(chosen) != 1:
        raise UsageError("name exactly one of --sub, --jti, --session and --token")
    if token is not None and token.count(".") != _DOTS:
        raise UsageError("--token takes a whole token, three parts with dots between them")
    api = reach(known(read(config)).settings, admin, api_key, Scope.MANAGE)
    ended = api.call("revoke", chosen)["ended"]
    line(f"revoked; {shown(ended)} open connection{'' if ended == 1 else 's'} ended")


def connections(
    user: Annotated[str | None, typer.Option("--user", help="Of this user alone.")] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="At this endpoint alone.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one line each.")] = False,
    config: ConfigOption = None,
    admin: AdminOption = None,
    api_key: KeyOption = None,
) -> None:
    """List open connections, oldest first."""
    body = {name: value for name, value in (("user", user), ("endpoint", endpoint)) if value}
    api = reach(known(read(config)).settings, admin, api_key, Scope.READ)
    result = api.call("connections", body)
    found = result["connections"]
    if as_json:
        for each in found:
            line(json.dumps(each))
        return
    table(
        ("connection", "user", "endpoint", "address", "since (UTC)", "channels"), map(_row, found)
    )
    line(f"\n{len(found)} of {shown(result['total'])} connections")


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    opened = datetime.fromtimestamp(each["opened_at"], UTC)
    return (
        each["client"],
        each["user"] or "-",
        each["endpoint"],
        each["address"],
        f"{opened:%Y-%m-%d %H:%M:%S}",
        ", ".join(each["channels"]) or "-",
    )
