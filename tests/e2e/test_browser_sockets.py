"""WebSockets of a page in a real browser: what it offers, what it is answered, how it learns of an end."""

from typing import Any

import pytest

from tests.e2e.gateways import LISTENERS, Place
from tests.e2e.relay import relayed
from tests.e2e.socketio_chromium import address, browse, need_chromium, pages

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

HELLO = [
    '{"type": "conversation.item.create", "item": {"type": "message", "role": "user",'
    ' "content": [{"type": "input_text", "text": "hello"}]}}',
    '{"type": "response.create"}',
]


def socket(place: Place, port: int, path: str, **asked: Any) -> str:
    """A page that opens one socket."""
    return address("localhost", port, "socket", url=f"{place.base}{path}", **asked)


@pytest.mark.parametrize("runner", LISTENERS)
async def test_a_page_talks_to_the_relay_with_its_token_in_a_subprotocol(runner: str) -> None:
    """As the API's own SDK does in browsers: the answer names `realtime`, and the upstream answers."""
    need_chromium()
    with pages() as port:
        origins = f'[gate]\nallowed_origins = ["http://localhost:{port}"]\n'
        async with relayed(origins, runner=LISTENERS[runner]) as relay:
            token = relay.token()
            key = f"openai-insecure-api-key.{token}"
            ask = {"send": HELLO, "until": "response.done"}
            good = ["realtime", key]
            urls = [
                socket(relay.place, port, "/realtime", protocols=good, **ask),
                socket(relay.place, port, "/realtime", protocols=[key, "realtime"], **ask),
                socket(relay.place, port, "/realtime", protocols=["realtime", f"{key}x"]),
                socket(relay.place, port, "/realtime", protocols=["chat", key]),
                socket(relay.place, port, "/rooms", protocols=["chat"]),
            ]
            talked, reversed_, forged, unspoken, elsewhere = await browse(urls)
            log = relay.place.log.getvalue()
    for outcome in (talked, reversed_):
        assert (outcome["opened"], outcome["protocol"]) == (True, "realtime"), outcome
        assert outcome["types"][0] == "session.created"
        assert outcome["types"][-1] == "response.done"
        assert outcome["clean"] is True
    for outcome in (forged, unspoken, elsewhere):
        assert (outcome["opened"], outcome["code"]) == (False, 1006), outcome
    assert token.rpartition(".")[2] not in log
    assert log.count("spoken here") == 2
