"""The reference page of the Python client, from the docstrings of its public names."""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from portward import client
from portward.client import sync

_MODULES: Final = re.compile(r"\b(?:[a-z_]+\.)+([A-Za-z_]+)")
_NO_DEFAULT: Final = inspect.Parameter.empty

_CLIENTS: Final[tuple[type[Any], ...]] = (
    client.Portward,
    client.RoomClient,
    client.Room,
    client.RoomPresence,
    client.AlertsClient,
    client.LiveClient,
    client.Topic,
    client.RelayClient,
)
_RESULTS: Final[tuple[type[Any], ...]] = (client.Stored, client.Refused, client.Unknown)
_EVENTS: Final[tuple[type[Any], ...]] = (
    client.Message,
    client.Gap,
    client.Joined,
    client.Left,
    client.UserJoined,
    client.UserLeft,
    client.Typing,
    client.CallAlert,
    client.Denied,
    client.TopicData,
)
_VALUES: Final[tuple[type[Any], ...]] = (
    client.Position,
    client.History,
    client.Presence,
    client.StateChange,
    client.QueueLimits,
    client.ConnectionOptions,
    client.Backoff,
)
_ERRORS: Final[tuple[type[Any], ...]] = (
    client.ConnectFailed,
    client.HandshakeRefused,
    client.TokenFailed,
    client.UnauthorizedError,
    client.RequestRefused,
    client.AuthenticationRefused,
    client.ConnectionLost,
    client.NoAnswer,
    client.StoppedError,
    client.ConversationEnded,
    client.ClosedError,
    client.ReadOverflowError,
    client.GapError,
)
_BLOCKING: Final[tuple[type[Any], ...]] = (
    sync.Portward,
    sync.BlockingRoom,
    sync.BlockingAlerts,
    sync.BlockingLive,
    sync.BlockingTopic,
    sync.BlockingRelay,
)

_INTRODUCTION: Final = """
# Python client

Every public name of `portward.client`. [The guide](../how-to/python-client.md) shows how they are used.
Times are seconds where nothing else is said. A method that waits is written with `await`.
"""
_OLDER: Final = """
## The older client

`RoomsClient(url, token=…)` is the client of earlier versions, for rooms alone: its methods name the room,
and it is iterated for events of all rooms. It works for one more release on the same connections and says
so with a `DeprecationWarning`. `Portward(url, get_token=…).room(…)` takes its place; `url` is then the
address of the gateway, without `/rooms`.
"""


def client_page() -> str:
    """The page."""
    parts = [_INTRODUCTION.strip(), *map(_class, _CLIENTS)]
    parts += ["## Results of `send`", *map(_fields, _RESULTS)]
    parts += ["## Events", *map(_fields, _EVENTS)]
    parts += ["## Values", *map(_fields, _VALUES)]
    parts += ["## Errors", _errors()]
    parts += ["## Without an event loop", *(_class(each, "sync.", "###") for each in _BLOCKING)]
    return "\n\n".join([*parts, _OLDER.strip()]) + "\n"


def _class(kind: type[Any], prefix: str = "", level: str = "##") -> str:
    methods = list(_public(kind))
    rows = [f"| `{name}` | {text} |" for name, text in methods]
    table = ["| | |", "|---|---|", *rows] if rows else []
    return "\n\n".join(
        filter(None, (f"{level} {prefix}{kind.__name__}", _doc(kind), "\n".join(table)))
    )


def _public(kind: type[Any]) -> Iterator[tuple[str, str]]:
    """The methods and properties, in the order in which they are written, with their first sentence."""
    seen: set[str] = set()
    for base in kind.__mro__[:-1]:
        for name, member in vars(base).items():
            if name.startswith("_") or name in seen or name in _INTERNAL.get(kind, set()):
                continue
            seen.add(name)
            if isinstance(member, property):
                yield name, _first(member)
            elif inspect.isfunction(member):
                yield _call(name, member), _first(member)


def _call(name: str, function: Callable[..., Any]) -> str:
    parameters = list(inspect.signature(function).parameters.values())[1:]
    written: list[str] = []
    for each in parameters:
        star = each.kind is inspect.Parameter.KEYWORD_ONLY and "*" not in written
        if star and not any(part.startswith("*") for part in written):
            written.append("*")
        variable = "**" if each.kind is inspect.Parameter.VAR_KEYWORD else ""
        default = "" if each.default is _NO_DEFAULT else f"={each.default!r}"
        written.append(f"{variable}{each.name}{default}")
    wait = "await " if inspect.iscoroutinefunction(function) else ""
    return f"{wait}{name}({', '.join(written)})"


def _fields(kind: type[Any]) -> str:
    names = getattr(kind, "__struct_fields__", None) or getattr(kind, "_fields", None)
    if names is None:
        names = tuple(getattr(kind, "__dataclass_fields__", {}))
    shown = ", ".join(f"`{name}`" for name in names)
    return f"### {kind.__name__}\n\n{_doc(kind)}\n\nFields: {shown}."


def _errors() -> str:
    rows = []
    for kind in _ERRORS:
        code = kind.__dict__.get("code", "")
        base = kind.__bases__[0].__name__
        shown = f"`{code}`" if isinstance(code, str) and code else "of the gateway"
        rows.append(f"| `{kind.__name__}` | `{base}` | {shown} | {_first(kind)} |")
    return "\n".join(["| error | is a | `code` | means |", "|---|---|---|---|", *rows])


def _doc(kind: type[Any]) -> str:
    """The docstring without its examples and without the errors, which have a table."""
    parts = inspect.cleandoc(kind.__doc__ or "").split("\n\n")
    kept = [part for part in parts if not part.startswith(("    ", "Raises"))]
    return "\n\n".join(kept).replace("::", ":")


def _first(thing: Any) -> str:
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return _MODULES.sub(r"\1", text).replace("|", "&#124;")


_INTERNAL: Final[dict[type[Any], set[str]]] = {
    kind: {
        "accepted", "ask", "before_read", "blocked", "close_topic", "crowded", "data", "deliver", "emit",
        "ended", "entered", "expecting", "finish", "forget", "entry_failed", "interrupt", "interrupted",
        "joined", "listened", "lose", "lost", "may_retry", "member_joined", "member_left", "message",
        "observe", "open", "out", "outgoing", "post", "prepare", "ready_connection", "receive",
        "received", "refresh_failed", "replace", "resume", "settle", "stopped", "subscribed", "typed",
        "unwant", "want",
    }
    for kind in _CLIENTS
}  # fmt: skip
"""What the parts of the client ask of each other."""
