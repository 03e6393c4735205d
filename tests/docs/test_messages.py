"""The messages on the pages of the endpoints are those of the contract: each key, each type."""

import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from docs.contract import ALERTS, LIVE, RELAY, ROOMS, Contract, Form
from portward.identity.provider_responses import user_question
from portward.model.claim_path import ClaimPath
from portward.protocols.alerts.protocol import AlertsProtocol
from portward.protocols.rooms.protocol import RoomsProtocol
from portward.security.tokens import channel_claims
from portward.telemetry.events import Event
from tests.docs.pages import DOCS, Block, blocks

PAGES: Final = {
    DOCS / "endpoints" / "alerts.md": ALERTS,
    DOCS / "endpoints" / "live.md": LIVE,
    DOCS / "endpoints" / "relay.md": RELAY,
    DOCS / "how-to" / "write-a-client.md": ROOMS,
}
AROUND: Final = {
    Form.DATA: ("data", {"type", "timestamp", "id"}),
    Form.PAYLOAD: ("payload", {"type", "id"}),
}
"""Where the keys of a message are, and what may stand beside them."""


def shown(kind: str) -> list[Block]:
    """The messages of one direction on all pages."""
    return [block for page in PAGES for block in blocks(f"json {kind}", page)]


def body_of(form: Form, message: dict[str, Any]) -> Any:
    """The part of a message that a struct describes."""
    if form in AROUND:
        key, beside = AROUND[form]
        assert message.keys() - {key} <= beside
        return message.get(key, {})
    return {key: value for key, value in message.items() if key != "type"}


def read(contract: Contract, block: Block, *, server: bool) -> tuple[Any, Any]:
    """The body of a message as it is shown, and as the struct of its type has it."""
    message = json.loads(block.text)
    kinds = contract.server if server else contract.client
    form = contract.server_form if server else contract.client_form
    (struct,) = [kind.body for kind in kinds if kind.word == message["type"]]
    body = body_of(form, message)
    tagged = body | {"type": message["type"]} if form is Form.FLAT else body
    made = msgspec.convert(tagged, type=struct, strict=True)
    encoded = msgspec.to_builtins(made)
    if form is Form.FLAT:
        del encoded["type"]
    return body, encoded


@pytest.mark.parametrize("block", shown("server"), ids=repr)
def test_what_the_gateway_sends(block: Block) -> None:
    """A message that the gateway is shown to send is one, with no key that it would not have."""
    body, encoded = read(PAGES[block.page], block, server=True)
    assert body.keys() <= encoded.keys()


@pytest.mark.parametrize("block", shown("client"), ids=repr)
def test_what_clients_send(block: Block) -> None:
    """A message that a client is shown to send is taken, with every key."""
    body, encoded = read(PAGES[block.page], block, server=False)
    assert body.keys() <= encoded.keys()


def decoded(block: Block, page: Path) -> Any:
    """What the dialect of a page makes of a message."""
    dialect = (
        RoomsProtocol("rooms", expose_email=True) if PAGES[page] is ROOMS else AlertsProtocol("a")
    )
    return dialect.decode(block.text.encode(), binary=False)


@pytest.mark.parametrize(
    "block",
    [block for block in shown("client") if PAGES[block.page] in (ROOMS, ALERTS)],
    ids=repr,
)
def test_dialects_read_them(block: Block) -> None:
    """The dialects without a conversation of their own decode the messages as they are printed."""
    assert decoded(block, block.page).id == json.loads(block.text).get("id")


def test_rights_of_a_token_for_alerts() -> None:
    """The claim that the page of alerts shows is one that tokens may carry."""
    (block,) = blocks("json", DOCS / "endpoints" / "alerts.md")
    claims = {"channels": json.loads(block.text)}
    (right,) = channel_claims(claims, ClaimPath.parse("channels")) or ()
    assert right.channel.startswith("alerts:")


def test_the_question_to_the_provider() -> None:
    """The page of live shows the request that the gateway makes."""
    (block,) = blocks("http", DOCS / "endpoints" / "live.md")
    method, path, _ = block.text.splitlines()[0].split()
    assert (method, path) == ("GET", user_question().path)


def test_a_line_of_the_log_has_known_fields() -> None:
    """The line that the page of operations shows is JSON, of an event with its fields."""
    (block,) = blocks("json", DOCS / "operations.md")
    line = json.loads(block.text)
    assert line["event"] in {event.value for event in Event}
    assert line.keys() == {"time", "level", "event", "client", "endpoint", "address"}
