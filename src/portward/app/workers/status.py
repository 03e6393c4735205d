"""Health, readiness and metrics of all workers of this machine, from whichever of them is asked.

Each worker answers the others on a socket of the private folder, so this also works without the store. Equal
series of all workers become one. That works on the text that `telemetry.metrics` writes: one series and its
value per line, no time stamps, and the same spelling of a series in every worker. This takes a tenth of the
time of a parser for the complete format.
"""

import asyncio
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

import portward.app.workers.control_protocol as control_protocol
from portward.admin.status import GatewayStatus
from portward.app.workers.sockets import listening
from portward.app.workers.worker import WorkerPlace

TIME: Final = 2.0
"""Seconds for the answer of another worker; one that is later is left out."""


class WorkersStatus:
    """Implements `admin.status.GatewayStatus` for `size` workers; `own` is that of this worker."""

    def __init__(self, own: GatewayStatus, place: WorkerPlace, size: int) -> None:
        self._place = place
        self._size = size
        self._server: asyncio.Server | None = None
        self._own = {b"health": own.health, b"ready": own.ready, b"metrics": own.metrics}

    async def start(self) -> None:
        """Start to answer the other workers.

        Raises:
            OSError: the socket cannot be opened.
        """
        sock = listening(self._path(self._place.task.number))
        self._server = await asyncio.start_unix_server(self._answer, sock=sock)

    def close(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.close()

    async def health(self) -> str:
        """`ok` while any worker takes connections."""
        own = await self._own[b"health"]()
        if own == "ok":
            return own
        return "ok" if "ok" in await self._others(b"health") else own

    async def ready(self) -> str:
        """`ready` when every worker is."""
        answers = [await self._own[b"ready"](), *await self._others(b"ready")]
        for answer in answers:
            if answer != "ready":
                return answer
        if len(answers) < self._size:
            return f"{len(answers)} of {self._size} workers ready"
        return "ready"

    async def metrics(self) -> str:
        """The metrics of all workers together, and of the workers themselves."""
        scrapes = [await self._own[b"metrics"](), *await self._others(b"metrics")]
        # In a thread, so that other requests are served meanwhile.
        text = await asyncio.to_thread(merged, scrapes)
        return text + workers(self._size, len(scrapes), self._place.replaced)

    def _path(self, number: int) -> str:
        return control_protocol.status_socket(self._place.task.folder, number)

    async def _others(self, question: bytes) -> list[str]:
        own = self._place.task.number
        asked = [self._ask(number, question) for number in range(self._size) if number != own]
        return [each for each in await asyncio.gather(*asked) if each is not None]

    async def _ask(self, number: int, question: bytes) -> str | None:
        try:
            async with asyncio.timeout(TIME):
                reader, writer = await asyncio.open_unix_connection(self._path(number))
                try:
                    writer.write(question + b"\n")
                    return msgspec.json.decode(await reader.read(), type=str)
                finally:
                    writer.close()
        except (OSError, TimeoutError, msgspec.DecodeError):
            return None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(TIME):
                question = (await reader.readline()).strip()
                if question in self._own:
                    writer.write(msgspec.json.encode(await self._own[question]()))
                    await writer.drain()
        except (OSError, TimeoutError, ValueError):  # ValueError: a line that is too long
            pass
        finally:
            writer.close()


Merge = Callable[[float, float], float]


_SUM: Final[Merge] = operator.add
_RULES: Final[Mapping[str, Merge]] = {
    "portward_build_info": max,
    "portward_insecure_mode": max,
    "portward_loop_lag_seconds": max,
    "portward_engine_up": min,
    "portward_engine_may_evict": max,
    "portward_process_start_time_seconds": min,
}
"""Families that are not added up. If the engine is down for one worker, it is down."""


class MalformedScrapeError(ValueError):
    """A worker's answer is no scrape."""


def merged(scrapes: Iterable[str]) -> str:
    """Merge scrapes into one; families and series keep the order of their first appearance.

    Raises:
        MalformedScrapeError: a line is neither a comment nor a series with a number.
    """
    families: dict[str, list[str]] = {}
    values: dict[str, dict[str, float]] = {}
    for scrape in scrapes:
        family = ""
        for line in scrape.splitlines():
            if line.startswith("# "):
                family = line.split(" ", 3)[2]
                comments = families.setdefault(family, [])
                if line not in comments and len(comments) < _COMMENTS:
                    comments.append(line)
            elif line:
                _take(values.setdefault(family, {}), family, line)
                families.setdefault(family, [])
    return "".join(
        f"{line}\n"
        for family, comments in families.items()
        for line in (*comments, *map(_shown, values.get(family, {}).items()))
    )


_COMMENTS: Final = 2
"""The comment lines of a family: HELP and TYPE."""


def _take(known: dict[str, float], family: str, line: str) -> None:
    series, _, number = line.rpartition(" ")
    try:
        value = float(number)
    except ValueError:
        raise MalformedScrapeError(
            f"no number at the end of a line of {family or 'a scrape'}"
        ) from None
    if not series:
        raise MalformedScrapeError(f"a number alone in {family or 'a scrape'}")
    before = known.get(series)
    known[series] = value if before is None else _RULES.get(family, _SUM)(before, value)


def _shown(item: tuple[str, float]) -> str:
    series, value = item
    return f"{series} {number(value)}"


def number(value: float) -> str:
    """Format a number for the text format."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(value)


def workers(size: int, up: int, replaced: int) -> str:
    """Return the metrics of the workers: how many answer, and how many were replaced."""
    return (
        "# HELP portward_workers Workers by whether they answer.\n"
        "# TYPE portward_workers gauge\n"
        f'portward_workers{{state="up"}} {number(float(up))}\n'
        f'portward_workers{{state="down"}} {number(float(size - up))}\n'
        "# HELP portward_workers_replaced_total Workers that took the place of one that died.\n"
        "# TYPE portward_workers_replaced_total counter\n"
        f"portward_workers_replaced_total {number(float(replaced))}\n"
    )
