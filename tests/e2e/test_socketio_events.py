"""Events of the application with unmodified Socket.IO clients: acknowledgements, bytes, namespaces."""

import asyncio
from typing import Any

import msgspec
import pytest

from portward import EventError
from portward.app.gateway import Gateway
from portward.protocols.socketio.server import Socket
from tests.e2e.gateways import until
from tests.e2e.socketio_client import MODES, token
from tests.e2e.socketio_gateways import FREE, socketio_gateway

each_mode = pytest.mark.parametrize("mode", list(MODES))
BLOB = bytes(range(256)) * 40
LIFE = "[endpoints.workspaces]\nmax_message = 1000000\n"


class Greeting(msgspec.Struct):
    """What `greet` takes."""

    name: str
    times: int = 1


class Application:
    """Handlers, and what they were told."""

    def __init__(self, gateway: Gateway) -> None:
        self.sockets: list[Socket] = []
        self.gone: list[tuple[str, str]] = []
        self.heard: list[Any] = []
        root = gateway.workspaces.namespace()
        root.on("connect", self.connect)
        root.on("disconnect", self.disconnect)
        root.on("mirror", self.mirror)
        root.on("silent", self.silent)
        root.on("slow", self.slow)
        root.on("call me", self.call_me)
        root.on("fail", self.fail)
        gateway.workspaces.event("greet", Greeting)(self.greet)
        custom = gateway.workspaces.namespace("/custom")
        custom.on("connect", self.welcome)
        custom.on("disconnect", self.disconnect)
        custom.on("mirror", self.mirror)
        closed = gateway.workspaces.namespace("/closed")
        closed.on("connect", lambda *_: False)

    def connect(self, socket: Socket, _: dict[str, Any]) -> None:
        """Somebody is in."""
        self.sockets.append(socket)

    async def welcome(self, socket: Socket, auth: dict[str, Any]) -> None:
        """Somebody is in, and told what it said."""
        self.sockets.append(socket)
        await socket.emit("auth", auth)

    def disconnect(self, socket: Socket, reason: str) -> None:
        """Somebody is out."""
        self.gone.append((socket.nsp, reason))

    def mirror(self, _: Socket, *arguments: Any) -> Any:
        """Acknowledge with everything."""
        return arguments

    def silent(self, _: Socket, *arguments: Any) -> None:
        """Acknowledge with nothing."""
        self.heard.extend(arguments)

    async def slow(self, _: Socket) -> str:
        """Acknowledge never, as long as the client is there."""
        await asyncio.Event().wait()
        return "never"

    async def call_me(self, socket: Socket, *arguments: Any) -> Any:
        """Acknowledge with what the client acknowledges."""
        return await socket.call("your turn", *arguments)

    def fail(self, _: Socket, how: str) -> None:
        """Fail on purpose, or by mistake."""
        if how == "on purpose":
            raise EventError("NOT_NOW", [1, 2])
        raise RuntimeError(how)

    def greet(self, _: Socket, greeting: Greeting) -> str:
        """Greet."""
        return f"hello {greeting.name}" * greeting.times


@each_mode
async def test_acknowledgements_of_the_server(mode: str) -> None:
    """What a handler returns is the acknowledgement: nothing, one argument or several."""
    async with socketio_gateway() as on:
        Application(on.gateway)
        tab = await on.tabs.member(on.url, "ann", **MODES[mode])
        assert await tab.ask("mirror") == []
        assert await tab.ask("mirror", "żółw 🐢") == "żółw 🐢"
        several: list[Any] = [1, -2.5, None, True, "", [], {}, {"a": [{"b": None}]}]
        assert await tab.ask("mirror", *several) == several
        assert await tab.ask("silent", 1) == []
        assert await tab.ask("greet", {"name": "ann", "times": 2}) == "hello annhello ann"
        for bad in ({"name": 1}, {"name": "a", "more": 1}, {}, "ann"):
            assert (await tab.ask("greet", bad))["error"] == "VALIDATION_ERROR"
        assert await tab.ask("fail", "on purpose") == {"error": "NOT_NOW", "details": [1, 2]}
        assert await tab.ask("fail", "by mistake") == {"error": "INTERNAL_ERROR"}
        assert await tab.ask("mirror", 1) == 1


@each_mode
async def test_acknowledgements_of_the_client(mode: str) -> None:
    """A handler, and the application outside one, may wait for what the client answers."""
    async with socketio_gateway() as on:
        application = Application(on.gateway)
        tab = await on.tabs.member(on.url, "ann", **MODES[mode])
        assert await tab.ask("call me", 1, {"b": BLOB}) == [1, {"b": BLOB}]
        assert await tab.heard("your turn") == [1, {"b": BLOB}]
        await tab.acknowledge("your turn", "mine", {"x": 1})
        (socket,) = application.sockets
        assert await socket.call("your turn") == ("mine", {"x": 1})
        answers = await asyncio.gather(*(socket.call("number", n) for n in range(20)))
        assert answers == [(n,) for n in range(20)]
        tab.leave()
        await tab.told("disconnect")
        await until(lambda: not socket.open)
        with pytest.raises(RuntimeError):
            await socket.call("number", 1)


@each_mode
async def test_bytes(mode: str) -> None:
    """Bytes go both ways, several in one event, wherever they stand, in acknowledgements too."""
    async with socketio_gateway(FREE + LIFE) as on:
        application = Application(on.gateway)
        tab = await on.tabs.member(on.url, "ann", **MODES[mode])
        nested = {"a": [b"\x00\x01", {"b": b"", "c": [BLOB]}], "n": 1}
        assert await tab.ask("mirror", b"\xff\xfe", nested, "text") == [b"\xff\xfe", nested, "text"]
        ten = [bytes([n]) * n for n in range(1, 11)]
        assert await tab.ask("mirror", *ten) == ten
        assert await tab.ask("mirror", BLOB * 40) == BLOB * 40
        (socket,) = application.sockets
        await socket.emit("here", BLOB, {"deep": [b"\x00"]})
        assert await tab.heard("here") == [BLOB, {"deep": [b"\x00"]}]
        await on.gateway.workspaces.emit("workspace:w1:dashboard", "here", {"unheard": b"1"})
        await tab.join("workspace:w1:dashboard")
        await on.gateway.workspaces.emit("workspace:w1:dashboard", "here", {"blob": BLOB})
        assert await tab.heard("here") == {"blob": BLOB}


@each_mode
async def test_eleven_attachments(mode: str) -> None:
    """More attachments than allowed break the protocol: the client is sent out, and nothing is heard."""
    async with socketio_gateway() as on:
        application = Application(on.gateway)
        tab = await on.tabs.member(on.url, "ann", **MODES[mode])
        tab.emit("silent", *[b"x"] * 11)
        told = await tab.told("disconnect")
        assert (told["reason"], told["active"]) == ("io server disconnect", False)
        assert application.heard == []
        assert on.gateway.connections() == []


@each_mode
async def test_many_events_at_once(mode: str) -> None:
    """A hundred events emitted in one turn are answered, each once and in order."""
    async with socketio_gateway() as on:
        application = Application(on.gateway)
        tab = await on.tabs.member(on.url, "ann", **MODES[mode])
        numbers = [tab.start("mirror", n, bytes([n])) for n in range(100)]
        assert [await tab.answer(each) for each in numbers] == [[n, bytes([n])] for n in range(100)]
        for n in range(100):
            tab.emit("silent", n)
        await tab.ask("mirror")
        assert application.heard == list(range(100))
        assert not [each for each in tab.records if each["kind"] == "disconnect"]


@each_mode
async def test_namespaces(mode: str) -> None:
    """One connection carries several namespaces, each with its own events and its own coming and going."""
    async with socketio_gateway() as on:
        application = Application(on.gateway)
        root = await on.tabs.member(on.url, "ann", **MODES[mode])
        custom = await root.enter("/custom", auth={"colour": "red"})
        await custom.connected()
        assert await custom.heard("auth") == {"colour": "red"}
        assert await custom.ask("mirror", 1, b"\x01") == [1, b"\x01"]
        assert (await custom.ask("greet", {"name": "ann"}))["error"] == "VALIDATION_ERROR"
        assert len(on.gateway.connections()) == 1
        namespace = on.gateway.workspaces.namespace("/custom")
        await namespace.emit("to all", 1, {"b": BLOB})
        assert await custom.heard("to all") == [1, {"b": BLOB}]
        (socket,) = [each for each in application.sockets if each.nsp == "/custom"]
        await namespace.join(socket, "corner")
        await namespace.emit("to corner", "x", room="corner")
        assert await custom.heard("to corner") == "x"
        custom.leave()
        assert (await custom.told("disconnect"))["reason"] == "io client disconnect"
        await until(lambda: application.gone == [("/custom", "client")])
        await namespace.emit("to all", 2)
        assert await root.ask("mirror", "still here") == "still here"
        assert custom.pending("to all") == []
        assert root.pending("to all") == []


@each_mode
async def test_a_namespace_alone(mode: str) -> None:
    """A connection whose first namespace is another one proves itself there, and comes back there."""
    async with socketio_gateway() as on:
        application = Application(on.gateway)
        url = f"{on.url}/custom"
        tab = on.tabs.open(url, {"token": token("ann"), "x": [1]}, **MODES[mode])
        await tab.connected()
        assert (await tab.heard("auth"))["x"] == [1]
        socket = application.sockets[-1]
        socket.disconnect()
        told = await tab.told("disconnect")
        assert (told["reason"], told["active"]) == ("io server disconnect", False)
        tab.order("call", method="connect")
        await tab.connected()
        refused = on.tabs.open(url, {"token": "nonsense"}, **MODES[mode])
        assert await refused.heard("error") == {"code": "INVALID_TOKEN"}
        assert (await refused.told("disconnect"))["reason"] == "io server disconnect"


@each_mode
async def test_namespaces_that_do_not_let_in(mode: str) -> None:
    """An unknown namespace is a connect error; one whose handler refuses sends its client out."""
    async with socketio_gateway() as on:
        Application(on.gateway)
        root = await on.tabs.member(on.url, "ann", **MODES[mode])
        unknown = await root.enter("/unknown")
        told = await unknown.told("connect_error")
        assert (told["message"], told["active"]) == ("Invalid namespace", False)
        closed = await root.enter("/closed")
        assert (await closed.told("disconnect"))["reason"] == "io server disconnect"
        assert await root.ask("mirror", 1) == 1
        first = on.tabs.open(f"{on.url}/unknown", {"token": token("ann")}, **MODES[mode])
        assert (await first.told("connect_error"))["message"] == "Invalid namespace"


@each_mode
async def test_timeouts_and_volatile_events(mode: str) -> None:
    """`timeout()` gives up on a handler that does not answer; volatile events arrive when they can."""
    async with socketio_gateway() as on:
        application = Application(on.gateway)
        tab = await on.tabs.member(on.url, "ann", **MODES[mode])
        if mode == "default":
            await tab.told("upgrade")
        tab.emit("silent", "volatile", volatile=True)
        await tab.ask("mirror")
        assert application.heard == ["volatile"]
        (socket,) = application.sockets
        await socket.emit("now", 1, volatile=True)
        assert await tab.heard("now") == 1
        assert await tab.ask("mirror", 1, timeout=20_000) == 1
        with pytest.raises(TimeoutError):
            await tab.ask("slow", timeout=50)
        assert len(on.gateway.connections()) == 1
        tab.leave()
        await until(lambda: application.gone == [("/", "normal")])


@each_mode
async def test_a_cut_connection(mode: str) -> None:
    """Who comes back after the network went away sends what it kept meanwhile."""
    async with socketio_gateway() as on:
        application = Application(on.gateway)
        tab = await on.tabs.member(on.url, "ann", **MODES[mode], reconnection=False)
        tab.order("cut")
        assert (await tab.told("disconnect"))["active"] is True
        tab.emit("silent", "kept")
        tab.order("call", method="connect")
        await tab.connected()
        await tab.ask("mirror")
        assert application.heard == ["kept"]
        await until(lambda: len(application.gone) == 1)
        assert len(on.gateway.connections()) == 1
