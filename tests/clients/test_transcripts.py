"""Conversations as data drive both clients against the real gateway, over a network that breaks."""

from itertools import count

import pytest

from tests.clients.client_programs import CLIENTS, with_each
from tests.clients.conversation import Conversation, matches, transcripts
from tests.clients.fault_proxy import UNHARMED, Plan, Script, always, fault_proxy
from tests.clients.gateway import Process
from tests.clients.services import COOKIE

TRANSCRIPTS = transcripts()
RUNS = count(1)
ORIGIN = "http://localhost:3000"


async def converse(gateway: Process, name: str, client: str, plan: Plan) -> None:
    """One client and one transcript."""
    transcript = TRANSCRIPTS[name]
    options = transcript.get("options", {})
    if transcript["endpoint"] == "live":
        options = {"cookie": COOKIE, "origin": ORIGIN}
    mark = f"{client}-{name}-{next(RUNS)}"
    async with (
        fault_proxy(gateway.port, plan) as proxy,
        CLIENTS[client](f"user-{mark}") as driver,
    ):
        await driver.start(proxy.url, speed=5, luck=0.05, **options)
        await Conversation(transcript, driver, proxy, gateway, mark).run()


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", TRANSCRIPTS)
async def test_transcript(gateway: Process, name: str) -> None:
    """Both clients do in each conversation what its transcript says."""
    await with_each(lambda client: converse(gateway, name, client, UNHARMED))


@pytest.mark.long
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", TRANSCRIPTS)
async def test_transcript_over_a_poor_network(gateway: Process, name: str) -> None:
    """A network that is slow, and whose other end is far away, changes nothing."""
    poor = always(Script(rate=30_000, delay=0.02))
    await with_each(lambda client: converse(gateway, name, client, poor))


@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_the_form_of_transcripts(name: str) -> None:
    """A transcript has its own name, an endpoint, and steps that are objects."""
    transcript = TRANSCRIPTS[name]
    assert transcript["name"] == name
    assert transcript["endpoint"] in {"rooms", "alerts", "live", "relay"}
    assert transcript.keys() <= {"name", "endpoint", "options", "steps"}
    assert all(isinstance(step, dict) for step in transcript["steps"])


@pytest.mark.parametrize(
    ("wanted", "given", "expected"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": "*"}, {"a": 0}, True),
        ({"a": "*"}, {"a": None}, False),
        ({"a": None}, {}, False),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2, "c": 3}]}, True),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ("1", 1, False),
    ],
)
def test_what_matches(wanted: object, given: object, expected: bool) -> None:
    """A report matches when it holds everything that is wanted, with the same types."""
    assert matches(wanted, given) is expected
