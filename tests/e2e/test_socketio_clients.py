"""Real clients against the real process: the newest for JavaScript, older ones, the one for Python."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import socketio  # type: ignore[import-untyped]  # it comes without types

from tests.e2e.gateways import TOKENS, UNLIMITED
from tests.e2e.socketio_client import CLIENTS, MODES, Tab, Tabs, browsing, token
from tests.e2e.socketio_gateways import CROWDED, DASHBOARD, ROLES
from tests.e2e.socketio_python import PythonClient, python_client
from tests.e2e.socketio_raw import application
from tests.e2e.socketio_relay import Network, network

BASE = f"""
[server]
port = 0
drain_timeout = "0s"
[engine]
url = "memory://"
[admin]
enabled = false
{TOKENS}{UNLIMITED}{ROLES}{CROWDED}
"""
ERRORS = '[endpoints.workspaces]\nrefuse = "connect_error"\n'
BLOB = bytes(range(256)) * 20
NESTED = {"a": [BLOB, {"b": b"\x01"}], "c": "ż"}

each_client = pytest.mark.parametrize("client", CLIENTS)
each_mode = pytest.mark.parametrize("mode", list(MODES))
bytes_as = pytest.mark.parametrize("base64", [False, True], ids=["binary", "base64"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The application, one for all tests here."""
    folder = tmp_path_factory.mktemp("application")
    with application(folder, BASE, endpoint="workspaces") as address:
        yield address


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same with `refuse = "connect_error"`."""
    folder = tmp_path_factory.mktemp("strict")
    with application(folder, BASE + ERRORS, endpoint="workspaces") as address:
        yield address


@pytest.fixture
async def tabs() -> AsyncIterator[Tabs]:
    """A Node process."""
    async with browsing() as tabs:
        yield tabs


async def conversed(tab: Tab) -> None:
    """Rooms, actions, acknowledgements and bytes both ways."""
    await tab.join(DASHBOARD)
    answer = await tab.ask("dashboard_action", {"action": "go", "payload": [1, {"x": None}]})
    assert answer == {"ok": True}
    update = {"action": "go", "payload": [1, {"x": None}]}
    assert update.items() <= (await tab.heard("dashboard_update")).items()
    assert await tab.ask("join_room", {"room": "workspace:w2:dashboard"}) == {
        "error": "ACCESS_DENIED"
    }
    assert await tab.ask("message-with-ack", 1, BLOB, NESTED) == [1, BLOB, NESTED]
    tab.emit("message", BLOB, NESTED)
    assert await tab.heard("message-back") == [BLOB, NESTED]
    await tab.acknowledge("question", BLOB, {"yes": [b"\x02"]})
    tab.emit("ask-me", NESTED, "?")
    assert await tab.heard("question") == [NESTED, "?"]
    assert await tab.heard("answered") == [BLOB, {"yes": [b"\x02"]}]


@each_client
@each_mode
@bytes_as
async def test_a_conversation(place: str, tabs: Tabs, client: str, mode: str, base64: bool) -> None:
    """A client of any version does it all on either transport, with binary frames and without."""
    auth = {"token": token("ann")}
    options: dict[str, Any] = MODES[mode] | {"forceBase64": base64}
    tab = tabs.open(f"http://{place}", auth, client=client, **options)
    await tab.connected()
    if mode == "default":
        assert (await tab.told("upgrade"))["transport"] == "websocket"
    await conversed(tab)


@each_client
async def test_bytes_while_it_upgrades(place: str, tabs: Tabs, client: str) -> None:
    """What is said at once, while the transport changes, comes back complete and in order."""
    for base64 in (False, True):
        auth = {"token": token("ann")}
        tab = tabs.open(f"http://{place}", auth, client=client, forceBase64=base64)
        numbers = [tab.start("message-with-ack", number, BLOB) for number in range(40)]
        for number, waiting in enumerate(numbers):
            assert await tab.answer(waiting) == [number, BLOB]
        tab.leave()


@each_client
@each_mode
async def test_a_network_that_breaks(place: str, tabs: Tabs, client: str, mode: str) -> None:
    """When every connection is reset the client comes back by itself, with a token, and goes on."""
    async with network(place) as between:
        tab = tabs.open(between.url, {"token": token("ann")}, client=client, **MODES[mode])
        await tab.connected()
        await tab.join(DASHBOARD)
        for _ in range(2):
            between.fail()
            assert (await tab.told("disconnect"))["reason"] != "io server disconnect"
            between.up = True
            await tab.connected()
            await tab.join(DASHBOARD)


REFUSALS = {
    "none": (None, "AUTH_REQUIRED"),
    "nonsense": ({"token": "nonsense"}, "INVALID_TOKEN"),
    "expired": ({"token": token("ann", ttl=-3600)}, "INVALID_TOKEN"),
}


@each_client
@each_mode
async def test_refusals(place: str, strict: str, tabs: Tabs, client: str, mode: str) -> None:
    """Whoever is refused gets the code and stays away, in either manner of refusing."""
    for auth, code in REFUSALS.values():
        given = {} if auth is None else auth
        tab = tabs.open(f"http://{place}", given, client=client, **MODES[mode])
        assert await tab.heard("error") == {"code": code}
        told = await tab.told("disconnect")
        assert (told["reason"], told["reconnecting"]) == ("io server disconnect", False)
        tab = tabs.open(f"http://{strict}", given, client=client, **MODES[mode])
        told = await tab.told("connect_error")
        assert told["data"] == {"code": code}
        assert told["message"]


# -- Python's


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]])
async def test_a_conversation_in_python(place: str, transports: list[str]) -> None:
    """`python-socketio` does it all on either transport."""
    async with python_client() as ann:
        await ann.connect(f"http://{place}", {"token": token("ann")}, transports)
        assert await ann.ask("join_room", {"room": DASHBOARD}) == {"joined": DASHBOARD}
        assert await ann.ask("dashboard_action", {"action": "go"}) == {"ok": True}
        assert (await ann.heard("dashboard_update"))["userId"] == "ann"
        assert await ann.ask("message-with-ack", (1, BLOB, NESTED)) == (1, BLOB, NESTED)
        await ann.client.emit("message", (BLOB, NESTED))
        assert await ann.heard("message-back") == (BLOB, NESTED)
        ann.answers["question"] = (BLOB, {"yes": [b"\x02"]})
        await ann.client.emit("ask-me", (NESTED, "?"))
        assert await ann.heard("question") == (NESTED, "?")
        assert await ann.heard("answered") == (BLOB, {"yes": [b"\x02"]})


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]])
async def test_a_network_that_breaks_in_python(place: str, transports: list[str]) -> None:
    """`python-socketio` comes back by itself, too."""
    async with network(place) as between, python_client() as ann:
        await ann.connect(between.url, {"token": token("ann")}, transports)
        assert await ann.ask("join_room", {"room": DASHBOARD}) == {"joined": DASHBOARD}
        await _comes_back(ann, between)
        assert await ann.ask("join_room", {"room": DASHBOARD}) == {"joined": DASHBOARD}


async def _comes_back(client: PythonClient, between: Network) -> None:
    between.fail()
    await client.until(lambda: len(client.reasons) > 0)
    between.up = True
    await client.until(lambda: len(client.connects) > 1)


@pytest.mark.parametrize("transports", [["polling"], ["websocket"]])
async def test_refusals_in_python(place: str, strict: str, transports: list[str]) -> None:
    """`python-socketio` is told the code in either manner, and stays away."""
    for auth, code in REFUSALS.values():
        async with python_client() as eve:
            await eve.connect(f"http://{place}", auth, transports)
            assert await eve.heard("error") == {"code": code}
            await eve.gone()
            # Its `connect` may return when all is over: it then calls no handler for the DISCONNECT.
            assert eve.reasons in ([], [eve.client.reason.SERVER_DISCONNECT])
            assert len(eve.connects) == 1
        async with python_client() as eve:
            with pytest.raises(socketio.exceptions.ConnectionError):
                await eve.connect(f"http://{strict}", auth, transports)
            assert eve.refusals == [code]
