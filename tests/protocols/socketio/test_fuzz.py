"""Whatever a client says over Socket.IO, in whatever order: nothing breaks, and nothing is left."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from portward.protocols.socketio.server import Socket
from portward.telemetry.events import Event
from tests.examples import examples
from tests.running_gateway import run_gateway, settle
from tests.socketio_peer import UNLIMITED_LIMITS, member, workspaces_settings

PLACE = '{"_placeholder":true,"num":0}'
ROOM = '{"room":"workspace:w1:dashboard"}'
TEXTS = st.sampled_from(
    [
        "0", "0/x,", "0/y,", "1", "1/x,", '2["echo",1]', '2/x,["echo",1]', '2/x,5["out"]', '25["fail"]',
        f'26["join_room",{ROOM}]', f'2["leave_room",{ROOM}]', '27["dashboard_action",{"action":"a"}]',
        '28["state_sync",{"key":"k","value":1}]', '2["approval_response",{"requestId":"r"}]',
        '29["approval_response",{"requestId":"r","decision":"approve"}]', '2["e",{"a":1,"a":2}]',
        "30[1]", "3/x,0[]", "3/y,0[]", f"51-/x,1[\"echo\",{PLACE}]", f'51-["echo",{PLACE}]',
        f"61-0[{PLACE}]", '210["token_refresh",{"token":"x"}]',
    ]
)  # fmt: skip
STEPS = st.lists(
    TEXTS
    | st.binary(max_size=4)
    | st.from_regex(r"\A[0-6](1-)?(/x,)?[0-9]{0,2}\[\"[a-z]{1,4}\"\]\Z"),
    max_size=25,
)


@pytest.mark.p1
@effort(deadline=None, max_examples=examples(25), suppress_health_check=list(HealthCheck))
@given(steps=STEPS, hasty=st.booleans())
def test_anything_in_any_order(steps: list[str | bytes], hasty: bool) -> None:
    """No packets in any order make the gateway fail; when the client has gone its rooms are empty."""
    asyncio.run(_converse(steps, hasty=hasty))


async def _converse(steps: list[str | bytes], *, hasty: bool) -> None:
    async with run_gateway(workspaces_settings(endpoint={"limits": UNLIMITED_LIMITS})) as running:
        for nsp in ("/", "/x"):
            space = running.gateway.workspaces.namespace(nsp)

            @space.on("echo")
            async def echo(_: Socket, *arguments: Any) -> tuple[Any, ...]:
                return arguments

            @space.on("out")
            def out(socket: Socket) -> None:
                socket.disconnect()

        bob = await member(running, "bob", "workspace:w1:dashboard")
        ann = await member(running, "ann", "workspace:w1:dashboard")
        for step in steps:
            binary = isinstance(step, bytes)
            ann.send_bytes(step if isinstance(step, bytes) else step.encode(), binary=binary)
            if not hasty:
                await settle()
        await settle()
        await bob.call("echo", 1)
        ann.leave(None)
        for _ in range(5):
            await settle()
        assert bob.alive
        assert list(running.gateway.channels()) == ["workspaces:w1:dashboard"]
        assert running.inside() == (1, 0, 1)
        assert running.events(Event.INTERNAL_ERROR) == 0
