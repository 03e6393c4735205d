"""`portward rooms`: the rooms of a running gateway, through its admin API."""

import json
from typing import Annotated, Any, Final

import typer

from portward.cli.remote import AdminClient, AdminDenied, JsonOption, admin_command, moment
from portward.cli.terminal import CommandRefused, UsageError, line, shown, table
from portward.model.room import RoomType, Sanitize
from portward.settings.formats import parse_duration

_PAGE: Final = 1000
_UNKNOWN: Final = 102
"""The error code for a missing room."""

rooms = typer.Typer(name="rooms", help="Make, show, list and remove rooms of a running gateway.")

RoomArgument = Annotated[str, typer.Argument(help="The id of the room, as in lobby.")]
NamespaceOption = Annotated[str, typer.Option(help="Its namespace.")]
Roles = list[str] | None


@rooms.command("set")
@admin_command
def set_(
    api: AdminClient,
    room: RoomArgument,
    *,
    name: Annotated[str | None, typer.Option(help="Its name.")] = None,
    kind: Annotated[RoomType | None, typer.Option("--type", help="Its type.")] = None,
    read: Annotated[
        Roles, typer.Option(metavar="ROLE", help="May read; may be repeated, '' for none.")
    ] = None,
    write: Annotated[Roles, typer.Option(metavar="ROLE", help="May write; likewise.")] = None,
    admin_role: Annotated[
        Roles, typer.Option(metavar="ROLE", help="May do everything; likewise.")
    ] = None,
    max_participants: Annotated[
        int | None, typer.Option(help="Users at once; 0 for no limit.")
    ] = None,
    sanitize: Annotated[
        Sanitize | None, typer.Option(help="Whether markup is removed from text.")
    ] = None,
    ttl: Annotated[str | None, typer.Option(help="Time after which it ends, as in 12h.")] = None,
    namespace: NamespaceOption = "rooms",
) -> None:
    """Make a room, or change one: what is not named stays as it is. Without --ttl it does not end."""
    body = _record(api, room, namespace)
    changes = {
        "name": name,
        "type": kind,
        "maxParticipants": max_participants,
        "sanitize": sanitize,
        "ttl": None if ttl is None else _seconds(ttl),
    }
    body |= {key: value for key, value in changes.items() if value is not None}
    roles = {"read": read, "write": write, "admin": admin_role}
    body["permissions"] |= {
        key: [role for role in value if role] for key, value in roles.items() if value
    }
    made = api.call("rooms_set", body)
    line(f"room {shown(made['id'])}: {_rights(made)}")


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


def _rights(record: dict[str, Any]) -> str:
    return "; ".join(
        f"{right} {', '.join(map(shown, roles)) or 'nobody'}"
        for right, roles in record["permissions"].items()
    )


@rooms.command("get")
@admin_command
def get(api: AdminClient, room: RoomArgument, namespace: NamespaceOption = "rooms") -> None:
    """Print the record of a room as JSON."""
    line(json.dumps(api.call("rooms_get", {"id": room, "namespace": namespace}), indent=2))


@rooms.command("list")
@admin_command
def list_(
    api: AdminClient,
    namespace: Annotated[str | None, typer.Option(help="Only of this namespace.")] = None,
    orphans: Annotated[
        bool,
        typer.Option("--orphans", help="Channels with messages but no record: no user may join."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List rooms with their rules and origins."""
    rows = _all(api, namespace, "orphans" if orphans else "rooms")
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


def _all(api: AdminClient, namespace: str | None, name: str) -> list[Any]:
    """Return all pages of a list."""
    body = {"namespace": namespace, "orphans": name == "orphans", "limit": _PAGE}
    found: list[Any] = []
    while True:
        page = api.call("rooms_list", body | {"offset": len(found)})
        found += page[name]
        if not page[name] or len(found) >= page["total"]:
            return found


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    ends = each["expiresAt"]
    place = "" if each["namespace"] == "rooms" else f"{each['namespace']}:"
    user = f" {each['user']}" if each["user"] else ""
    return (
        f"{place}{each['id']}",
        each["type"],
        _rights(each),
        f"{each['origin']}{user}",
        "-" if ends is None else moment(ends),
    )


@rooms.command("remove")
@admin_command
def remove(api: AdminClient, room: RoomArgument, namespace: NamespaceOption = "rooms") -> None:
    """Delete the messages of a room, and its record; its members are removed."""
    if not api.call("rooms_remove", {"id": room, "namespace": namespace})["removed"]:
        raise CommandRefused(f"there is no room {shown(room)}, nor any messages of it")
    line(f"room {shown(room)} removed, with its messages")
