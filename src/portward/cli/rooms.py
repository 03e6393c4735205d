"""`portward rooms`: the rooms of a running gateway, by its admin API."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from portward.cli.config import ConfigOption, known, read
from portward.cli.errors import CommandRefused, UsageError
from portward.cli.output import line, shown, table
from portward.cli.remote import AdminClient, AdminDenied, AdminOption, KeyOption, reach
from portward.model.room import RoomType, Sanitize
from portward.settings.formats import parse_duration
from portward.settings.keys import Scope

_PAGE: Final = 1000
_UNKNOWN: Final = 102
"""The error code for a missing room."""

rooms = typer.Typer(name="rooms", help="Make, show, list and remove rooms of a running gateway.")

RoomArgument = Annotated[str, typer.Argument(help="The id of the room, as in lobby.")]
NamespaceOption = Annotated[str, typer.Option("--namespace", help="Its namespace.")]
JsonOption = Annotated[bool, typer.Option("--json", help="As JSON, one line each.")]
Role = list[str] | None


def _api(config: Path | None, admin: str | None, key: str | None, scope: Scope) -> AdminClient:
    return reach(known(read(config)).settings, admin, key, scope)


@rooms.command("set")
def set_(
    room: RoomArgument,
    *,
    name: Annotated[str | None, typer.Option("--name", help="Its name.")] = None,
    kind: Annotated[RoomType | None, typer.Option("--type", help="What it is for.")] = None,
    readers: Annotated[
        Role, typer.Option("--read", metavar="ROLE", help="May read; may be repeated, '' for none.")
    ] = None,
    writers: Annotated[
        Role, typer.Option("--write", metavar="ROLE", help="May write; likewise.")
    ] = None,
    admins: Annotated[
        Role, typer.Option("--admin-role", metavar="ROLE", help="May do everything; likewise.")
    ] = None,
    participants: Annotated[
        int | None, typer.Option("--max-participants", help="Users at once; 0 for no limit.")
    ] = None,
    sanitize: Annotated[
        Sanitize | None, typer.Option("--sanitize", help="Whether markup is removed from text.")
    ] = None,
    ttl: Annotated[
        str | None, typer.Option("--ttl", help="Time after which it ends, as in 12h.")
    ] = None,
    namespace: NamespaceOption = "rooms",
    config: ConfigOption = None,
    admin: AdminOption = None,
    api_key: KeyOption = None,
) -> None:
    """Make a room, or change one: what is not named stays as it is. Without --ttl it does not end."""
    api = _api(config, admin, api_key, Scope.MANAGE)
    body = _record(api, room, namespace)
    changes = {
        "name": name,
        "type": kind,
        "maxParticipants": participants,
        "sanitize": sanitize,
        "ttl": None if ttl is None else _seconds(ttl),
    }
    body |= {key: value for key, value in changes.items() if value is not None}
    roles = {"read": readers, "write": writers, "admin": admins}
    body["permissions"] |= {
        key: [role for role in value if role] for key, value in roles.items() if value
    }
    made = api.call("rooms_set", body)
    line(f"room {shown(made['id'])}: {_may(made)}")


def _record(api: AdminClient, room: str, namespace: str) -> dict[str, Any]:
    """Return the existing record, else that of a new room.

    A change of one field must keep the others: a closed room must not become open when it gets a name.
    """
    place = {"id": room, "namespace": namespace}
    try:
        return {**api.call("rooms_get", place), **place}
    except AdminDenied as denied:
        if denied.code != _UNKNOWN:
            raise
        return {**place, "permissions": {}}


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--ttl: {error}") from None


def _may(record: dict[str, Any]) -> str:
    return "; ".join(
        f"{right} {', '.join(map(shown, roles)) or 'nobody'}"
        for right, roles in record["permissions"].items()
    )


@rooms.command("get")
def get(
    room: RoomArgument,
    namespace: NamespaceOption = "rooms",
    config: ConfigOption = None,
    admin: AdminOption = None,
    api_key: KeyOption = None,
) -> None:
    """Print the record of a room as JSON."""
    api = _api(config, admin, api_key, Scope.READ)
    line(json.dumps(api.call("rooms_get", {"id": room, "namespace": namespace}), indent=2))


@rooms.command("list")
def list_(
    *,
    namespace: Annotated[
        str | None, typer.Option("--namespace", help="Of this namespace alone.")
    ] = None,
    orphans: Annotated[
        bool,
        typer.Option(
            "--orphans",
            help="Channels where messages are kept without a record: nobody may join them.",
        ),
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    admin: AdminOption = None,
    api_key: KeyOption = None,
) -> None:
    """List rooms with their rules, and where they came from."""
    api = _api(config, admin, api_key, Scope.READ)
    found = _all(api, namespace=namespace, orphans=orphans)
    rows = found["orphans"] if orphans else found["rooms"]
    if as_json:
        for each in rows:
            line(json.dumps(each))
    elif orphans:
        for each in rows:
            line(shown(each))
        line(f"\n{len(rows)} without a record: `portward rooms set` gives one, `remove` deletes")
    else:
        table(("room", "type", "may", "made by", "ends (UTC)"), map(_row, rows))
        line(f"\n{len(rows)} room{'' if len(rows) == 1 else 's'}")


def _all(
    api: AdminClient, *, namespace: str | None = None, orphans: bool = False
) -> dict[str, Any]:
    """Return all pages of the list."""
    body = {"namespace": namespace, "orphans": orphans, "limit": _PAGE}
    found: dict[str, Any] = {"rooms": [], "orphans": []}
    while True:
        have = len(found["rooms"]) + len(found["orphans"])
        page = api.call("rooms_list", body | {"offset": have})
        more = len(page["rooms"]) + len(page["orphans"])
        for key in ("rooms", "orphans"):
            found[key] += page[key]
        if not more or have + more >= page["total"]:
            return found


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    ends = each["expiresAt"]
    place = "" if each["namespace"] == "rooms" else f"{each['namespace']}:"
    user = f" {each['user']}" if each["user"] else ""
    return (
        f"{place}{each['id']}",
        each["type"],
        _may(each),
        f"{each['origin']}{user}",
        "-" if ends is None else f"{datetime.fromtimestamp(ends, UTC):%Y-%m-%d %H:%M:%S}",
    )


@rooms.command("remove")
def remove(
    room: RoomArgument,
    namespace: NamespaceOption = "rooms",
    config: ConfigOption = None,
    admin: AdminOption = None,
    api_key: KeyOption = None,
) -> None:
    """Delete what was said in a room, and its record; its members are removed.

    Raises:
        Refusal: there is neither.
    """
    api = _api(config, admin, api_key, Scope.MANAGE)
    if not api.call("rooms_remove", {"id": room, "namespace": namespace})["removed"]:
        raise CommandRefused(f"there is no room {shown(room)}, nor anything kept in it")
    line(f"room {shown(room)} removed, with what was said in it")
