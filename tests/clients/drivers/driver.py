"""The Python client: obeys JSON lines of the standard input and reports JSON lines, as driver.mjs does.

Ends with its input. It fails when the client leaves a task behind after `close`.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from portward.client import ClientError, Portward, UnauthorizedError
from portward.client.backoff import Backoff
from portward.client.options import ConnectionOptions
from portward.client.outgoing import QueueLimits
from portward.client.room import Room
from portward.client.transport import WebSocketDialer

Order = dict[str, Any]
ECHO = 0.02


def report(kind: str, **rest: Any) -> None:
    """Write a report."""
    sys.stdout.write(json.dumps({"kind": kind, **rest}) + "\n")
    sys.stdout.flush()


def position(place: Any) -> Any:
    """A position as the reports have it."""
    return None if place is None else {"offset": place.offset, "epoch": place.epoch}


def failure(error: BaseException | None) -> Any:
    """An error as the reports have it."""
    if error is None:
        return None
    return {
        "code": getattr(error, "code", None),
        "temporary": getattr(error, "temporary", None),
        "retryAfterMs": _milliseconds(getattr(error, "retry_after", None)),
        "name": type(error).__name__,
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


class FastClock:
    """Time that runs `speed` times as fast, and counts the timers that are set."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._start = time.monotonic()
        self._wall = time.time()
        self.timers: set[asyncio.TimerHandle] = set()

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return self._start + (time.monotonic() - self._start) * self._speed

    def time(self) -> float:
        """Unix seconds."""
        return self._wall + self.monotonic() - self._start

    def call_later(self, delay: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Run `callback` once."""
        return asyncio.get_running_loop().call_later(delay / self._speed, callback)


class Driver:
    """Takes orders for one client."""

    def __init__(self) -> None:
        self.client: Portward | None = None
        self.questions: dict[int, asyncio.Future[Any]] = {}
        self.numbers = count(1)
        self.rooms: dict[str, Room] = {}
        self.topics: dict[str, Any] = {}
        self.cookie: str | None = None
        self.origin: str | None = None
        self.tasks: set[asyncio.Task[Any]] = set()
        self.sends: dict[str, asyncio.Task[Any]] = {}
        self.attended: dict[str, Any] = {}
        self.own: set[asyncio.Task[Any]] = set()

    def take(self, order: Order) -> None:
        """Take one order."""
        name = order.pop("do")
        getattr(self, f"do_{name}")(**order)

    def settle(
        self,
        kind: str,
        work: Awaitable[Any],
        told: Callable[[Any], Any] = lambda _: None,
        **rest: Any,
    ) -> asyncio.Task[Any]:
        """Report what comes of some work."""

        async def run() -> None:
            try:
                value, error = told(await work), None
            except ClientError as caught:
                value, error = None, caught
            except asyncio.CancelledError:
                report(kind, **rest, value=None, error={"code": "aborted", "temporary": False})
                raise
            report(kind, **rest, value=value, error=failure(error))

        task = asyncio.create_task(run())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def ask(self, kind: str, **details: Any) -> Any:
        """Ask the test."""
        number = next(self.numbers)
        answer = self.questions[number] = asyncio.get_running_loop().create_future()
        report(kind, id=number, **details)
        try:
            return await answer
        except asyncio.CancelledError:
            report(f"{kind} given up", id=number)
            raise
        finally:
            del self.questions[number]

    # -- the client

    def do_client(
        self,
        url: str,
        token: str | None = None,
        speed: float = 1,
        luck: float = 1,
        queue: dict[str, int] | None = None,
        timeoutMs: float = 10_000,  # noqa: N803 - the word of the orders
        cookie: str | None = None,
        origin: str | None = None,
    ) -> None:
        """Make the client; one that was made before is forgotten."""
        self.cookie, self.origin = cookie, origin
        for known in (self.rooms, self.topics, self.attended):
            known.clear()

        async def get_token(reason: str) -> str:
            answer: str = await self.ask("token wanted", reason=reason)
            return answer

        limits = QueueLimits(**({} if queue is None else {"messages": queue["messages"]}))
        self.client = Portward(
            url,
            get_token=get_token if token == "ask" else token,
            connection=ConnectionOptions(
                dial=WebSocketDialer(timeout=timeoutMs / 1000 / speed),
                clock=FastClock(speed),
                backoff=Backoff(draw=lambda: random.random() * luck),
                timeout=timeoutMs / 1000,
                queue=limits,
            ),
        )

    def endpoint(self, name: str) -> Any:
        """The client of an endpoint, which is followed."""
        assert self.client is not None
        if name not in self.attended:
            made: Any = {
                "rooms": lambda client: client.rooms,
                "alerts": lambda client: client.alerts(),
                "live": lambda client: client.live(cookie=self.cookie, origin=self.origin),
                "relay": lambda client: client.relay(),
            }[name](self.client)
            self.attended[name] = made
            made.on(
                "state",
                lambda change: report(
                    "state", endpoint=name, state=change.state, error=failure(change.error)
                ),
            )
            made.on("stopped", lambda error: report("stopped", endpoint=name, **failure(error)))
            if name == "alerts":
                made.on("alert", lambda alert: report("alert", value=_alert(alert)))
                made.on("gap", lambda gap: report("gap", value=_gap(gap)))
                made.on("denied", lambda denied: report("denied", value=list(denied.calls)))
            if name == "relay":
                made.on("event", lambda event: report("event", value=event))
                made.on("ended", lambda error: report("ended", value=failure(error)))
        return self.attended[name]

    def room(self, name: str, state: bool = False) -> Room:
        """A room, which is followed."""
        if name not in self.rooms:
            self.endpoint("rooms")
            assert self.client is not None

            async def get_state(place: Any) -> None:
                await self.ask("state wanted", channel=name, position=position(place))

            room = self.client.room(name, get_state=get_state if state else None)
            self.rooms[name] = room
            room.on(
                "message", lambda message: report("message", room=name, value=_message(message))
            )
            room.on("gap", lambda gap: report("gap", room=name, value=_gap(gap)))
            room.on("joined", lambda joined: report("joined", room=name, value=_joined(joined)))
            room.on(
                "left",
                lambda left: report(
                    "left", room=name, value={"roomId": left.room, "code": left.reason}
                ),
            )
            room.on("presence", lambda users: report("presence", room=name, value=list(users)))
        return self.rooms[name]

    def topic(self, name: str, state: bool) -> Any:
        """A topic, which is followed."""

        async def get_state(place: Any) -> None:
            await self.ask("state wanted", channel=name, position=position(place))

        made = self.endpoint("live").topic(name, get_state=get_state if state else None)
        made.on("data", lambda data: report("data", topic=name, value=_data(data)))
        made.on("gap", lambda gap: report("gap", topic=name, value=_gap(gap)))
        made.on("forbidden", lambda error: report("forbidden", topic=name, value=failure(error)))
        made.on(
            "snapshot",
            lambda latest: report("snapshot", topic=name, value=[_data(data) for data in latest]),
        )
        return made

    # -- orders

    def do_connect(self, endpoint: str) -> None:
        """Connect an endpoint."""
        self.settle("connected", self.endpoint(endpoint).connect(), endpoint=endpoint)

    def do_join(self, room: str, state: bool = False) -> None:
        """Join a room."""
        self.settle("join done", self.room(room, state).join(), room=room)

    def do_leave(self, room: str) -> None:
        """Leave a room."""
        self.settle("leave done", self.room(room).leave(), room=room)

    def do_send(self, room: str, content: str, id: str) -> None:  # noqa: A002 - the word of the orders
        """Send a message."""
        self.sends[id] = self.settle("sent", self.room(room).send(content), _result, id=id)

    def do_abort(self, id: str) -> None:  # noqa: A002 - the word of the orders
        """Give a message up."""
        self.sends[id].cancel()

    def do_typing(self, room: str, active: bool) -> None:
        """Say that the user types."""
        self.settle("typed", self.room(room).typing(active=active))

    def do_history(self, room: str, limit: int) -> None:
        """Read a room back."""
        self.settle(
            "history",
            self.room(room).history(limit),
            lambda page: [message.content for message in page.messages],
            room=room,
        )

    def do_users(self, room: str) -> None:
        """Say which users are in a room."""
        report("users", room=room, value=list(self.room(room).presence))

    def do_subscribe(self, calls: list[str]) -> None:
        """Subscribe to alerts."""
        self.settle("subscribe done", self.endpoint("alerts").subscribe(calls), calls=calls)

    def do_unsubscribe(self, calls: list[str]) -> None:
        """Unsubscribe from alerts."""
        self.settle("unsubscribe done", self.endpoint("alerts").unsubscribe(calls), calls=calls)

    def do_topic(self, topic: str, state: bool = False) -> None:
        """Subscribe to a topic of live."""
        made = self.topics[topic] = self.topic(topic, state)
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def settle(error: Exception | None) -> None:
            if not ready.done():
                ready.set_result(None) if error is None else ready.set_exception(error)

        made.on("snapshot", lambda _: settle(None))
        made.on("forbidden", settle)
        made.subscribe()
        self.settle("topic ready", ready, topic=topic)

    def do_untopic(self, topic: str) -> None:
        """Unsubscribe from a topic."""
        self.settle("topic closed", self.topics[topic].close(), topic=topic)

    def do_converse(self, model: str | None = None) -> None:
        """Begin a conversation of the relay."""
        self.settle("conversation", self.endpoint("relay").connect(model))

    def do_event(self, event: Order) -> None:
        """Send an event of a conversation."""
        self.settle("event sent", self.endpoint("relay").send(event))

    def do_answer(self, id: int, value: Any) -> None:  # noqa: A002 - the word of the orders
        """Answer a question."""
        if id in self.questions and not self.questions[id].done():
            self.questions[id].set_result(value)

    def do_fail(self, id: int, unauthorized: bool) -> None:  # noqa: A002 - the word of the orders
        """Answer a question with an error."""
        error = UnauthorizedError() if unauthorized else OSError("not now")
        if id in self.questions and not self.questions[id].done():
            self.questions[id].set_exception(error)

    def do_echo(self) -> None:
        """Report when what was ordered before is on its way."""
        asyncio.get_running_loop().call_later(ECHO, report, "echo")

    def do_held(self) -> None:
        """Report which tasks of the client are left."""
        tasks = asyncio.all_tasks() - self.own - self.tasks
        report("held", timers=len(tasks), listeners=0, tasks=[repr(task) for task in tasks])

    def do_close(self) -> None:
        """Close the client."""
        assert self.client is not None
        self.settle("closed", self.client.close())


def _gap(gap: Any) -> Order:
    return {"channel": gap.channel, "from": position(gap.start), "to": position(gap.end)}


def _message(message: Any) -> Order:
    return {
        "id": message.id,
        "type": message.kind,
        "roomId": message.room,
        "content": message.content,
        "userId": message.user,
        "timestamp": message.time,
        "offset": message.position.offset,
    }


def _joined(joined: Any) -> Order:
    return {
        "roomId": joined.room,
        "participants": list(joined.participants),
        "position": position(joined.position),
        "recovered": joined.recovered,
    }


def _data(data: Any) -> Order:
    return {
        "topic": data.topic,
        "key": data.key,
        "data": data.data,
        "ts": data.time,
        "offset": data.offset,
    }


def _alert(alert: Any) -> Order:
    return {
        "id": alert.id,
        "callId": alert.call,
        "type": alert.type,
        "severity": alert.severity,
        "data": alert.data,
        "offset": alert.position.offset,
        "epoch": alert.position.epoch,
    }


def _result(result: Any) -> Order:
    if result.status == "stored":
        return {"status": "stored", "id": result.id, **position(result.position)}
    if result.status == "refused":
        return {"status": "refused", "code": result.code, "temporary": result.temporary}
    return {"status": result.status}


async def main() -> None:
    """Take orders until the input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    driver = Driver()
    driver.own = {task for task in (asyncio.current_task(),) if task is not None}
    async for line in reader:
        driver.take(json.loads(line))
    left = asyncio.all_tasks() - driver.own
    if left:
        sys.exit(f"tasks are left: {left}")


if __name__ == "__main__":
    asyncio.run(main())
