"""A process that is started with the environment of an older server shows its names, and else does not."""

import json
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.e2e.gateways import PROCESS, TOKENS, process
from tests.e2e.process import KEY, SECRET

JSON_LOG = '[log]\nformat = "json"\n'
NAMES = ("WS_CONNECTION_ESTABLISHED", "WS_AUTH_FAILED_INVALID_TOKEN")
METRICS = (
    "processor_live_connections",
    "processor_live_messages_inbound_total",
    "processor_live_messages_outbound_total",
)


@pytest.mark.parametrize("older", [True, False])
async def test_the_environment_decides(tmp_path: Path, older: bool) -> None:
    """Events beside the gateway's own, and metrics of live endpoints, in one process from end to end."""
    environ = {"JWT_SECRET": SECRET, "INSTANCE_ID": "live-1"} if older else {}
    given = PROCESS + ("" if older else TOKENS) + JSON_LOG
    async with process(tmp_path, given, environ) as served:
        async with connect(f"{served.url}/realtime") as socket:
            await socket.send('{"type": "authenticate", "token": "x"}')
            assert json.loads(await socket.recv())["code"] == "invalid_token"
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{served.admin}metrics", headers={"X-API-Key": KEY})
        await served.said("auth_failed")
        output = "".join(served.output)
        assert [name in output for name in NAMES] == [older] * 2
        assert [name in answer.text for name in METRICS] == [older] * 3
        assert ('instance_id="live-1"' in answer.text) is older
