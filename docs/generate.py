"""Writes what is made from the code: pages of docs/reference, AsyncAPI documents, types of the clients.

python -m docs.generate           writes them
python -m docs.generate --check   prints which are out of date, and exits with 1 when one is
"""

import argparse
import ast
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import getsource
from itertools import pairwise
from pathlib import Path
from typing import Final, get_type_hints

from prometheus_client.core import Metric

from docs import asyncapi, typescript
from docs.client_reference import client_page
from portward.model.disconnects import Disconnect
from portward.model.errors import ErrorKind
from portward.model.handshake_errors import HandshakeRejection
from portward.node.handshake.closed_refusals import ENDINGS as CLOSED
from portward.protocols.alerts.protocol import AlertsProtocol
from portward.protocols.live.protocol import LiveProtocol
from portward.protocols.relay.protocol import RelayProtocol
from portward.protocols.rooms.messages import CODES, TEXTS
from portward.protocols.rooms.protocol import RoomsProtocol
from portward.settings import reference
from portward.telemetry import Metrics
from portward.telemetry.events import Audited, Event
from portward.telemetry.fields import Fields

HERE: Final = Path(__file__).resolve().parent
_MADE: Final = "Made by docs/generate.py: change the code, then run it."
_NOTES: Final = {
    ".md": f"<!-- {_MADE} -->\n\n",
    ".ts": f"// {_MADE}\n/* eslint-disable */\n\n",
    ".yaml": f"# {_MADE}\n",
}


def meanings(events: type[Event]) -> dict[str, str]:
    """Read the meaning of each event: the docstring below its row, as one line."""
    (table,) = ast.parse(getsource(events)).body
    found: dict[str, str] = {}
    for row, below in pairwise(getattr(table, "body", ())):
        if isinstance(row, ast.Assign) and isinstance(below, ast.Expr):
            (name,) = (each.id for each in row.targets if isinstance(each, ast.Name))
            found[name] = " ".join(ast.literal_eval(below.value).split())
    return found


FIELD_MEANINGS: Final[Mapping[str, str]] = {
    "client": "connection id",
    "address": "client address, masked: `192.0.2.xxx`, or the /48 of IPv6",
    "user": "user id, or its keyed hash with `log.hash_users`",
    "actor": "user or caller that acted, where that is not `user`; hashed in the same way",
    "endpoint": "name of the endpoint; `none` for a path without one",
    "dialect": "name of a protocol",
    "namespace": "name of a namespace",
    "channel": "channel name",
    "workspace": "workspace of a user",
    "role": "one role",
    "roles": "several roles",
    "kind": "kind of revocation, or of right",
    "jti": "id of a token",
    "digest": "SHA-256 of a token",
    "key_id": "name of a key (`kid`)",
    "algorithm": "signature algorithm",
    "claim": "configured name or path of a claim that is wrong or absent",
    "reason": "the cause as one word",
    "detail": "the cause in more detail, as a text of the gateway",
    "ending": "name in the table of endings",
    "code": "close code, or code of a command error",
    "status": "HTTP status",
    "fault": "code of a command error",
    "limit": "name of a limit",
    "mode": "`enforce` or `observe`",
    "origin": "an `Origin`",
    "host": "a `Host`",
    "path": "request path, without its query",
    "header": "name of a header, never its value",
    "command": "command of a client",
    "method": "method of the admin API",
    "count": "how many",
    "size": "bytes",
    "received": "messages or bytes that came in",
    "sent": "messages or bytes that went out",
    "seconds": "duration",
    "retry_after": "seconds to wait",
    "offset": "position in a channel's stream",
    "epoch": "epoch of that stream",
    "engine": "name of the engine",
    "node": "id of a node",
    "version": "version of Portward",
    "environment": "`development` or `production`",
    "port": "port of a listener",
    "workers": "number of processes",
    "changed": "names of settings, never their values",
    "error": "class of an exception, never its text",
    "trace": "where an exception was raised: files, lines and functions",
    "source": "name of a library's logger",
    "of": "the event a count stands for",
    "ip": "client address, masked, in events of older servers",
    "totalConnections": "connections open, in events of the older relay",
    "userId": "user id or its hash, in events of older servers",
    "clientId": "connection id, in events of the older workspace gateway",
    "room": "room of a workspace, in events of the older workspace gateway",
    "seq": "number of an audit line",
    "file": "name of a file",
}
"""What each field of a log line contains."""

_AUDITED: Final = {Audited.NO: "", Audited.SAMPLED: "yes, sampled", Audited.ALWAYS: "yes"}


_ENDINGS: Final = """\
# Endings, refusals and faults

Three things can go wrong, and each looks different. A **refusal** (rejection) answers a handshake
with an HTTP status. An **ending** (disconnect) closes an open connection with a close code. A
**fault** (command error) answers one command, and the connection stays open.
[Concepts](../concepts.md#faults-endings-and-refusals) explains them; these tables are complete.

## Endings

After codes from 3000 to 3499 a client may come back, after those from 3500 to 3999 it must not; the
other codes are those of RFC 6455. The name is used in logs, in metrics and in the disconnect hook.
Before a close after which a client may come back, rooms, alerts, live and the relay send `closing`
with the name and the time to wait (`retryMs`), unless `shutdown` or an error has already stated it;
Socket.IO has `retryMs` in the event `error`.

{endings}

Some protocols use their own code and reason for some of them:

{closes}

## Refusals

Every refusal has an empty body, `Connection: close` and `Content-Length: 0`. `Retry-After` is in
seconds and spread at random, so that clients rejected together do not come back together.
The reason is in logs and metrics; the client sees only the status. At an endpoint with
`refuse = "close"` a page that may connect sees the close code of the last column instead
([more](../gate.md#refusals-that-a-browser-can-see)).

{refusals}

## Faults

The number is the code in answers of the [admin API](admin-api.md). The last two columns are what a
client of the `rooms` protocol receives. *Temporary*: the same command may succeed later.

{faults}
"""

_EVENTS: Final = """\
# Log events

A log line is one of these events with some of the fields below. It contains no other text.
Audited events also go to the [audit file](../operations.md#audit). *Sampled*: clients can
cause the event as often as they like, so in a flood a count replaces the other lines.

## Events

{events}

## Fields

These fields are used besides `time` (UTC), `level` and `event`. A text is shown up to its 256th
character, with control characters escaped, and with `[token]` in place of anything that looks like
a token. There is no field for a token, a cookie, a key, a header's value or a message.

{fields}
"""

_METRICS: Final = """\
# Metrics

In Prometheus' text format, at `GET /metrics` of the [admin listener](admin-api.md). The values of
a label are a closed set, and anything else counts as `other`: no client can make a series.
`endpoint` and `namespace` have the configured names, `workspace` the names of up to a thousand
workspaces that somebody is connected from. What to watch is in
[operations](../operations.md#alarms). Several workers are one scrape, with
[two metrics more](../how-to/scale.md#admin-api-and-metrics).

{metrics}

On Linux there are also the usual figures of the process, as `portward_process_…`.

## Label values

{labels}
"""


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table in Markdown; a vertical bar inside a cell is escaped."""
    names = list(head)
    cells = ([str(cell).replace("|", "&#124;") for cell in row] for row in rows)
    lines = [names, ["---"] * len(names), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def code(text: object) -> str:
    """Return a word set as code; an empty text stays empty."""
    return f"`{text}`" if text != "" else ""


def codes(texts: Iterable[object]) -> str:
    """Return words set as code, with commas."""
    return ", ".join(map(code, texts))


def yes(value: object) -> str:
    """Return `yes` or `no`."""
    return "yes" if value else "no"


def endings_page() -> str:
    """Return the page of disconnects, rejections and command errors."""
    endings = sorted(Disconnect, key=lambda each: each.code)
    dialects = (AlertsProtocol, LiveProtocol, RelayProtocol, RoomsProtocol)
    closes = [(each.name, *row) for each in dialects for row in each.closes.items()]
    refusals = sorted(HandshakeRejection, key=lambda each: each.status)
    return _ENDINGS.format(
        endings=table(
            ("name", "code", "reason", "come back?", "when"),
            (
                (_name(each), each.code, code(each.reason), yes(each.reconnect), each.meaning)
                for each in endings
            ),
        ),
        closes=table(
            ("protocol", "name", "code", "reason"),
            (
                (code(dialect), _name(each), number, code(reason))
                for dialect, each, (number, reason) in closes
            ),
        ),
        refusals=table(
            ("status", "reason", "headers", 'with `refuse = "close"`'),
            (
                (each.status, code(each.reason), codes(_headers(each)), _closed(each))
                for each in refusals
            ),
        ),
        faults=table(
            ("code", "number", "meaning", "temporary", "code in rooms", "text in rooms"),
            map(_fault, ErrorKind),
        ),
    )


def _name(ending: Disconnect) -> str:
    return code(ending.name.lower())


def _closed(refusal: HandshakeRejection) -> str:
    ending = CLOSED.get(refusal)
    return "the status" if ending is None else f"{ending.code} {code(ending.reason)}"


def _headers(refusal: HandshakeRejection) -> list[str]:
    fixed = [f"{name}: {value}" for name, value in refusal.headers]
    return [*fixed, *(["Retry-After"] if refusal.retry else [])]


def _fault(kind: ErrorKind) -> tuple[object, ...]:
    rooms = code(CODES.get(kind, kind.code)), TEXTS.get(kind, kind.text)
    return code(kind.code), kind.number, kind.text, "yes" if kind.temporary else "", *rooms


def events_page() -> str:
    """Return the page of the events and fields of the log and the audit file."""
    meaning = meanings(Event)
    return _EVENTS.format(
        events=table(
            ("event", "level", "audited", "meaning"),
            (
                (code(each.value), each.level.value, _AUDITED[each.audited], meaning[each.name])
                for each in Event
            ),
        ),
        fields=table(
            ("field", "content"),
            ((code(name), FIELD_MEANINGS[name]) for name in get_type_hints(Fields)),
        ),
    )


def metrics_page() -> str:
    """Return the page of every metric family of a gateway, with the values of its labels."""
    return _METRICS.format(
        metrics=table(("name", "type", "labels", "help"), map(_metric, _families())),
        labels=table(("label", "of", "values"), _labels()),
    )


def _families() -> list[Metric]:
    registry = Metrics(("…",), ("…",), version="…").registry
    own = [each for each in registry.collect() if not each.name.startswith("portward_process_")]
    return sorted(own, key=_called)


def _called(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def _labelled(family: Metric) -> list[str]:
    return [name for name in family.samples[0].labels if name != "le"]


def _metric(family: Metric) -> tuple[str, ...]:
    return code(_called(family)), family.type, codes(_labelled(family)), family.documentation


def _labels() -> Iterator[tuple[str, ...]]:
    """Yield the values of each label, except labels with names from the settings."""
    for family in _families():
        for name in _labelled(family):
            if name not in {"endpoint", "namespace", "workspace", "version", "python"}:
                values = dict.fromkeys(sample.labels[name] for sample in family.samples)
                yield code(name), code(_called(family)), codes(values)


def glossary_page() -> str:
    """Render the terms of docs/glossary.toml."""
    terms = tomllib.loads((HERE / "glossary.toml").read_text(encoding="utf-8"))["term"]
    rows = ["| term | meaning |", "| --- | --- |"]
    for term in sorted(terms, key=lambda each: each["name"]):
        more = f" ([more]({term['page']}))" if "page" in term else ""
        rows.append(f"| {term['name']} | {term['meaning']}{more} |")
    head = "# Glossary\n\nThe terms of these pages and of the code, each with one meaning.\n\n"
    return head + "\n".join(rows) + "\n"


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "reference/glossary.md": glossary_page,
    "reference/settings.md": reference,
    "reference/endings.md": endings_page,
    "reference/events.md": events_page,
    "reference/metrics.md": metrics_page,
    "reference/client.md": client_page,
    "../clients/js/src/generated.ts": typescript.module,
    "../clients/js/src/server/generated.ts": typescript.admin_module,
    **asyncapi.PAGES,
}


def page(name: str) -> str:
    """Return the whole text of a generated page."""
    return _NOTES[Path(name).suffix] + PAGES[name]()


def _shown(name: str) -> str:
    """Return the path of a file from the root of the repository."""
    return f"docs/{name}".replace("docs/../", "")


def stale() -> list[str]:
    """Return the names of the pages that are missing or out of date."""
    return [
        name
        for name in PAGES
        if not (HERE / name).exists() or (HERE / name).read_text(encoding="utf-8") != page(name)
    ]


def main(arguments: list[str] | None = None) -> int:
    """Write the pages, or check them; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write the generated pages of docs/reference.")
    parser.add_argument("--check", action="store_true", help="only say which are out of date")
    check = parser.parse_args(arguments).check
    old = stale()
    for name in old:
        sys.stdout.write(f"{_shown(name)}: {'out of date' if check else 'written'}\n")
        if not check:
            (HERE / name).parent.mkdir(parents=True, exist_ok=True)
            (HERE / name).write_text(page(name), encoding="utf-8")
    return 1 if check and old else 0


if __name__ == "__main__":
    sys.exit(main())
