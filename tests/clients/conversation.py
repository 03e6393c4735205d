"""Transcripts: conversations as data, which drive a client against the real gateway through a fault proxy.

A transcript is a JSON object with a `name`, an `endpoint`, `options` of the client where it needs some, and
`steps`. Each step is an object with one of these keys:

| key | meaning |
|---|---|
| `do` | an order for the client, with its details beside it |
| `server` | a method of the admin API, with its body in `body` |
| `network` | `cut` (with `how`: `rst` or `fin`), `hold`, `resume`, `refuse` (new connections), `allow` |
| `expect` | a report that comes, or has come; the first of its kind that was not expected before must match |
| `skip` | a kind of report: those that have come so far are not expected any more |
| `never` | a report that has not come at any time |
| `wait` | a report that comes, whatever others of its kind come before |
| `attempts` | the number of connections that the proxy has accepted |

Reports match when they hold everything that the step names; `"*"` is any value. In all texts `{user}` and
`{room}` stand for names that only this run uses.
"""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

from tests.clients.client_programs import Driver
from tests.clients.fault_proxy import UNHARMED, Cut, FaultProxy, Script, always
from tests.clients.gateway import Process
from tests.clients.programs import Record

TRANSCRIPTS: Final = Path(__file__).parent / "transcripts"
REFUSED: Final = always(Script(refuse=True))


def transcripts() -> dict[str, Record]:
    """All transcripts by the names of their files."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(TRANSCRIPTS.glob("*.json"))}


def matches(wanted: Any, given: Any) -> bool:
    """Whether a value holds everything that is wanted."""
    if wanted == "*":
        return given is not None
    if isinstance(wanted, dict):
        return isinstance(given, dict) and all(
            key in given and matches(value, given[key]) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(given, list)
            and len(wanted) == len(given)
            and all(matches(*pair) for pair in zip(wanted, given, strict=True))
        )
    return bool(wanted == given and type(wanted) is type(given))


class Conversation:
    """One transcript under way."""

    def __init__(
        self, transcript: Record, driver: Driver, proxy: FaultProxy, gateway: Process, mark: str
    ) -> None:
        text = json.dumps(transcript["steps"])
        text = text.replace("{user}", driver.user).replace("{room}", f"room-{mark}")
        self._steps: list[Record] = json.loads(text)
        self._driver = driver
        self._proxy = proxy
        self._gateway = gateway
        self._seen: dict[str, int] = {}

    async def run(self) -> None:
        """Take all steps; what fails names its step."""
        for number, step in enumerate(self._steps, 1):
            try:
                await self._take(step)
            except (AssertionError, TimeoutError) as problem:
                reports = "\n".join(map(json.dumps, self._driver.reports.records[-40:]))
                raise AssertionError(f"step {number}, {step}: {problem!r}\n{reports}") from problem

    async def _take(self, step: Record) -> None:
        if "do" in step:
            await self._driver.do(**step)
            return
        verbs = [key for key in step if key not in {"body", "how"}]
        assert len(verbs) == 1, "a step has one verb"
        await getattr(self, f"_{verbs[0]}")(step)

    async def _server(self, step: Record) -> None:
        await self._gateway.call(step["server"], **step.get("body", {}))

    async def _network(self, step: Record) -> None:
        proxy = self._proxy
        match step["network"]:
            case "cut":
                proxy.cut_all(Cut(step.get("how", "rst")))
            case "hold":
                proxy.hold_all()
            case "resume":
                proxy.resume_all()
            case "refuse":
                proxy.plan = REFUSED
            case "allow":
                proxy.plan = UNHARMED
            case other:
                raise AssertionError(f"there is no network {other!r}")

    async def _expect(self, step: Record) -> None:
        wanted = step["expect"]
        kind = wanted["kind"]
        start = self._seen.get(kind, 0)
        record = await self._driver.reports.first(kind, start)
        self._seen[kind] = self._driver.reports.records.index(record, start) + 1
        assert matches(wanted, record), record

    async def _wait(self, step: Record) -> None:
        wanted = step["wait"]
        start = self._seen.get(wanted["kind"], 0)
        record = await self._driver.reports.first(lambda each: matches(wanted, each), start)
        self._seen[wanted["kind"]] = self._driver.reports.records.index(record, start) + 1

    async def _skip(self, step: Record) -> None:
        self._seen[step["skip"]] = len(self._driver.reports.records)

    async def _never(self, step: Record) -> None:
        found = [each for each in self._driver.reports.records if matches(step["never"], each)]
        assert found == []

    async def _attempts(self, step: Record) -> None:
        await asyncio.wait_for(self._proxy.accepted(step["attempts"]), 30)
        assert len(self._proxy.connections) == step["attempts"]
