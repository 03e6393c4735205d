"""The page on workspaces is true: its tables are those of the code, its examples are run."""

import json
import re
import shlex
from typing import Any, Final

from portward.app.webhook import PAUSES, ROOM, TIMEOUT, sign
from portward.model.payload import MAX_ATTACHMENTS
from portward.protocols.socketio import codes
from portward.protocols.workspaces.events import MAX_JSON, WorkspaceEvents
from portward.settings import Settings
from portward.settings.presets import ENDPOINTS
from portward.telemetry.workspaces_gauge import LONGEST, NAME, NAMED
from portward.transports.engineio.polling import REQUESTS, REQUESTS_AT_ONCE
from tests.admin.service import ADMIN, serving
from tests.docs.pages import DOCS, blocks
from tests.running_gateway import RunningGateway, run_gateway, settings
from tests.socketio_peer import SocketPeer, member

PAGE: Final = DOCS / "endpoints" / "workspaces.md"
TEXT: Final = PAGE.read_text(encoding="utf-8")
FLAT: Final = " ".join(TEXT.split())


def section(title: str) -> str:
    """The part of the page under a heading."""
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[str]:
    """The first words of the rows of a section's tables."""
    return re.findall(r"^\| `(\w+)`", text, re.MULTILINE)


def test_events_are_those_of_the_code() -> None:
    """The tables of events and errors leave none out and invent none."""
    listed = rows(section("Rooms and events"))
    events = WorkspaceEvents("workspaces", ()).names
    assert set(listed[: len(events)]) == events
    faults = {*codes._FAULTS.values(), codes.VALIDATION_ERROR, "CONFLICT", "RATE_LIMITED"}
    entering = {"AUTH_REQUIRED", "INVALID_TOKEN"}
    assert set(listed[len(events) :]) == (faults - entering) | {"PERMISSION_DENIED"}
    assert set(rows(section("Coming in"))) == set(codes.ERROR_TEXTS)


def test_figures_are_those_of_the_code() -> None:
    """Numbers on the page are the ones that hold."""
    endpoint = ENDPOINTS["workspaces"]
    assert f"up to {endpoint.max_message:,} bytes with its attachments" in FLAT
    assert f"| {endpoint.max_message:,} bytes; {MAX_ATTACHMENTS} |" in FLAT
    assert f"any JSON of at most {MAX_JSON:,} characters" in FLAT
    assert (
        f"pings every {endpoint.ping_interval:.0f} seconds and waits {endpoint.pong_timeout:.0f}"
        in FLAT
    )
    assert f"sends nothing for {endpoint.auth_timeout:.0f} seconds" in FLAT
    assert f"more than {endpoint.limits.connections.max} from this address" in FLAT
    assert "sent again after {:.0f}, {:.0f}, {:.0f} and {:.0f} seconds".format(*PAUSES) in FLAT
    assert (ROOM, TIMEOUT, NAMED) == (1000, 5, 1000)
    assert f"`{NAME}{{workspace}}` counts" in FLAT
    assert f"cut at {LONGEST} characters" in FLAT
    polls = f"More than {1 / REQUESTS:.0f} requests a second of one polling session, or {REQUESTS_AT_ONCE}"
    assert polls in FLAT


async def examples(running: RunningGateway) -> dict[str, Any]:
    """The page's handlers, put in place as they stand."""

    async def may_open(user: str | None, document: Any) -> bool:
        return user in {"ann", "bob"} and document == "1"

    async def look_up(workspace: str, text: str, limit: int) -> list[str]:
        return [workspace, text, str(limit)]

    async def restart(workspace: str, user: str, payload: object) -> list[object]:
        return [workspace, user, payload]

    names: dict[str, Any] = {
        "gateway": running.gateway,
        "look_up": look_up,
        "may_open": may_open,
        "restart": restart,
    }
    for block in blocks("python", PAGE):
        if "def " in block.text:
            exec(block.text, names)  # noqa: S102 - they are the page's own examples
    return names


async def test_examples_work() -> None:
    """Actions, events with and without a schema, and namespaces do what the page says."""
    async with run_gateway(settings(roles={"agent": ("dashboard.*",)})) as running:
        await examples(running)
        ann = await member(running, "ann", "workspace:w1:dashboard")
        bob = await member(running, "bob")
        done = await ann.call("dashboard_action", {"action": "restart", "payload": 1})
        assert done == {"ok": True, "result": {"job": ["w1", "ann", 1]}}
        refused = await ann.call("dashboard_action", {"action": "other"})
        assert refused == {"error": "UNKNOWN_ACTION"}
        (update,) = ann.events("dashboard_update")
        assert update == {"action": "restart", "payload": 1, "userId": "ann"}
        assert await ann.call("search", {"text": "x"}) == {"found": ["w1", "x", "10"]}
        empty = {"error": "EMPTY", "details": "say what to look for"}
        assert await ann.call("search", {"text": ""}) == empty
        assert (await ann.call("search", {"txt": ""}))["error"] == "VALIDATION_ERROR"
        await ann.say('51-90["upload","n",{"_placeholder":true,"num":0}]', b"\x00\x01\x02")
        assert ann.packets[-1] == "390[3]"
        await edited(ann, bob)


async def edited(ann: SocketPeer, bob: SocketPeer) -> None:
    """Two clients in the same document of the editor."""
    for peer in (ann, bob):
        await peer.enter({"document": "1"}, "/editor")
    await ann.call("change", "1", {"at": 3}, nsp="/editor")
    assert bob.events("change", "/editor") == [{"at": 3}]
    assert ann.events("change", "/editor") == []
    await ann.call("change", "a b", {"at": 4}, nsp="/editor")
    assert len(bob.events("change", "/editor")) == 1


async def test_the_signature_example() -> None:
    """A backend that checks as shown takes what is sent, and nothing else."""
    async with run_gateway(settings()) as running:
        is_ours = (await examples(running))["is_ours"]
    (posted,) = blocks("http", PAGE)
    content = posted.text.strip().splitlines()[-1].encode()
    assert is_ours(content, sign(content, "key"), b"key")
    assert not is_ours(content, sign(content, "other"), b"key")
    assert set(json.loads(content)) == {
        *("requestId", "workspace", "decision", "userId", "comment", "decidedAt"),
    }


async def test_commands_work() -> None:
    """What the page has the backend say is understood, and answered as shown."""
    async with serving(Settings()) as service:
        for block in blocks("console", PAGE):
            command, _, shown = block.text.replace("\\\n", " ").partition("\n")
            url, *rest = shlex.split(command.removeprefix("$ curl ").replace("$KEY", ADMIN))
            options = dict(zip(rest[::2], rest[1::2], strict=True))
            headers = {"X-API-Key": ADMIN}
            response = await service.http.post(url, content=options["-d"], headers=headers)
            assert response.status_code == 200, command
            if shown:
                assert response.json()["result"].keys() == json.loads(shown)["result"].keys()
        found = await service.gateway.workspaces.approval("refund-7")
        assert found is not None
        history = await service.gateway.history("workspaces:acme:dashboard")
        assert [each.type for each in history.publications] == ["price_changed"]
