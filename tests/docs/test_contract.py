"""The contract that types and documents are generated from is what the gateway reads and sends."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from docs.contract import ALERTS, CONTRACTS, LIVE, RELAY, ROOMS, WORKSPACES, Contract, Form
from portward.model import replies as say
from portward.model.approval import Approval, Decision, Verdict
from portward.model.channel import Channel
from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.model.identity import Identity
from portward.model.position import Position
from portward.model.publication import Publication
from portward.model.replies import Push, Reply
from portward.protocols.alerts.protocol import AlertsProtocol
from portward.protocols.base import ClientProtocol
from portward.protocols.live.protocol import _READ as LIVE_TYPES
from portward.protocols.live.protocol import LiveProtocol
from portward.protocols.message import OTHERS
from portward.protocols.relay.protocol import _KEYS as RELAY_TYPES
from portward.protocols.relay.protocol import RelayProtocol, UpstreamConnected
from portward.protocols.rooms.protocol import RoomsProtocol
from portward.protocols.workspaces import payloads
from portward.protocols.workspaces.commands import Acted, Asked, Decided, Sharing
from portward.protocols.workspaces.events import WorkspaceEvents
from portward.protocols.workspaces.protocol import WorkspacesProtocol

A = Channel.parse("x:a")
AT = Position(4, "e")
IDENTITY = Identity(subject="ann", email="ann@example.com", roles=frozenset({"user"}))
FULL = Publication(
    id="1" * 32, offset=4, time=9, data={"a": [1]}, key="k", type="t", user="ann",
    email="ann@example.com", signature="s",
)  # fmt: skip
BARE = Publication(id="2" * 32, offset=5, time=9, data=None)
ALERT = Publication(
    id="3" * 32, offset=6, time=9, type="t", data={"callId": "a", "severity": "high", "data": {}}
)
REFUSED = CommandError(ErrorKind.RATE_LIMITED, retry_after=7)
DETAILED = CommandError(ErrorKind.INVALID_FORMAT)
DETAILED.details = {"rule": "depth", "depth": 33}
ELSEWHERE = CommandError(ErrorKind.PERMISSION_DENIED, about="a")
ELSEWHERE.part = "a"
APPROVAL = Approval(
    id="r", channel=A, title="t", data={"a": 1}, created_at=1.0, expires_at=2.0,
    verdict=Verdict(decision=Decision.REJECT, user="ann", at=1.5, comment="no"),
)  # fmt: skip

REPLIES: tuple[Reply, ...] = (
    say.Authenticated(identity=IDENTITY, session_token="s", expires_at=1.5),
    say.Authenticated(identity=Identity(subject="bob"), session_token="s", expires_at=None),
    say.Refreshed(session_token="s", expires_at=1.5),
    say.Refreshed(session_token="s", expires_at=None),
    say.Pong(),
    say.Subscribed(channel=A, position=AT, participants=("ann",)),
    say.Subscribed(
        channel=A, position=AT, recovered=True, publications=(FULL, BARE), snapshot=(FULL,)
    ),
    say.SubscribedMany(channels=(A,), denied=(A,), recovered={A: False}),
    say.SubscribedMany(channels=()),
    say.SubscribedEach(channels=(A,), failed=(say.Failure("b", REFUSED), say.Failure("c", DETAILED))),
    say.Unsubscribed(channel=A),
    say.UnsubscribedMany(channels=(A,)),
    say.Published(publication_id="i", position=AT),
    say.HistoryRead(channel=A, publications=(FULL, BARE), position=AT),
    say.HistoriesRead(deliveries=(say.Delivery(channel=A, publication=ALERT, epoch="e"),)),
    say.HistoriesRead(deliveries=(), positions={A: AT}),
    say.PresenceRead(channel=A, participants=(say.Participant("ann", 2),)),
    say.Done(),
    UpstreamConnected(model="m"),
    UpstreamConnected(model=None),
    Acted(),
    Acted(result={"job": 1}),
    Decided(),
    Sharing(accepted=True, version=3),
    Sharing(accepted=False, version=3, value=[1]),
)  # fmt: skip
PUSHES: tuple[Push, ...] = (
    say.Welcome(connection_id="c" * 32),
    say.Delivery(channel=A, publication=FULL, epoch="e"),
    say.Delivery(channel=A, publication=BARE, epoch="e", suppressed=2, late=True),
    say.Delivery(channel=A, publication=ALERT, epoch="e", suppressed=2),
    say.Joined(channel=A, user="ann", email="ann@example.com"),
    say.Left(channel=A, user="ann"),
    say.Left(channel=A, user="ann", reason=say.LeaveReason.DISCONNECTED),
    say.Signalled(channel=A, user="ann", name="typing", active=True),
    say.Expiring(expires_at=1.5),
    say.Removed(channel=A, reason="permission_denied"),
    say.Removed(channel=A, reason=say.INSUFFICIENT_STATE),
    say.ShuttingDown(retry=5),
    say.ShuttingDown(retry=5, address="wss://other"),
    *(say.Parting(ending=each, retry=9 if each.reconnect else None) for each in Disconnect),
    say.SharedChanged(key="k", value=1, version=2),
    Asked(approval=APPROVAL),
)
FAULTS = (*map(CommandError, ErrorKind), REFUSED, DETAILED, ELSEWHERE)

IN_ROOMS = (
    say.Authenticated, say.Refreshed, say.Pong, say.Subscribed, say.SubscribedEach, say.Unsubscribed,
    say.Published, say.HistoryRead, say.PresenceRead, say.Done,
)  # fmt: skip
DIALECTS: list[tuple[Contract, ClientProtocol]] = [
    (ROOMS, RoomsProtocol("x", expose_email=True)),
    (ROOMS, RoomsProtocol("x", expose_email=False)),
    (ALERTS, AlertsProtocol("x")),
    (LIVE, LiveProtocol("x")),
    (RELAY, RelayProtocol()),
]


def said(contract: Contract, protocol: ClientProtocol) -> Iterator[Any]:
    """Everything that a protocol encodes."""
    replies = [each for each in REPLIES if contract is not ROOMS or isinstance(each, IN_ROOMS)]
    for identifier in ("id", None) if contract is ROOMS else ("id", 7, None):
        for reply in replies:
            yield protocol.reply(Command(id=identifier), reply, 1)
    for push in PUSHES:
        yield protocol.push(push, 1)
    for fault in FAULTS:
        for identifier in ("id", None):
            fault.command_id = identifier
            yield protocol.reply_error(fault, 1)


def inside(contract: Contract, message: dict[str, Any], *, client: bool = False) -> Any:
    """The part of a message that a struct describes; the rest is checked here."""
    form = contract.client_form if client else contract.server_form
    if form is Form.FLAT:
        return message
    keys = {"type", form.value} | ({"timestamp"} if form is Form.DATA else set())
    assert keys <= message.keys() <= keys | {"id"}
    return message[form.value]


def again(value: Any, struct: type[msgspec.Struct]) -> Any:
    """A value, read into a struct and written again."""
    return json.loads(msgspec.json.encode(msgspec.convert(value, struct)))


@pytest.mark.parametrize(("contract", "protocol"), DIALECTS, ids=lambda each: each.name)
def test_everything_that_is_sent_is_described(contract: Contract, protocol: ClientProtocol) -> None:
    """Each reply, push and error is exactly what the struct of its type says: no key more, none less."""
    kinds = {kind.word: kind for kind in contract.server}
    seen = set()
    for payload in said(contract, protocol):
        if payload is None:
            continue
        message = json.loads(payload)
        body = inside(contract, message)
        struct = kinds[message["type"]].body
        assert again(body, struct) == body, message
        seen.add(message["type"])
    assert seen == kinds.keys()


def test_everything_that_is_read_is_described() -> None:
    """The types that clients send are those that the dialects read, with the same structs."""
    rooms, alerts = RoomsProtocol("x", expose_email=True), AlertsProtocol("x")
    given = {
        "rooms": {word: row[0] for word, row in rooms._readers.items()},
        "alerts": {word: row[0] for word, row in alerts._readers.items()},
        "live": dict(LIVE_TYPES),
        "workspaces": {
            word: row[0] for word, row in WorkspaceEvents("x", ("dashboard",))._readers.items()
        },
    }
    for contract in CONTRACTS:
        described = {kind.word: kind.body for kind in contract.client}
        if contract is RELAY:
            keys = {
                word: {"type", *each.__struct_encode_fields__} for word, each in described.items()
            }
            assert keys == RELAY_TYPES
        else:
            assert described == given[contract.name]


def test_types_stand_in_their_structs() -> None:
    """Where the type is among the other keys, it is the word of the message."""
    for contract in CONTRACTS:
        for form, kinds in (
            (contract.client_form, contract.client),
            (contract.server_form, contract.server),
        ):
            for kind in kinds if form is Form.FLAT else ():
                assert kind.body.__struct_config__.tag == kind.word


@pytest.mark.parametrize(("contract", "protocol"), DIALECTS[:4], ids=lambda each: each.name)
def test_codes_are_known(contract: Contract, protocol: ClientProtocol) -> None:
    """Each code stands once, and every code that a command can be refused with is among them."""
    codes = [error.code for error in contract.errors]
    assert len(set(codes)) == len(codes)
    for kind in set(ErrorKind) - OTHERS - {ErrorKind.NOT_SUBSCRIBED}:
        payload = protocol.reply_error(CommandError(kind), 1)
        assert isinstance(payload, bytes)
        assert inside(contract, json.loads(payload))["code"] in codes


# -- Socket.IO


def events(payload: Any) -> Iterator[tuple[str, Any]]:
    """Names and data of the events in what a protocol sends, acknowledgements under the name of none."""
    while payload is not None:
        text = payload if isinstance(payload, bytes) else payload.text
        head, _, rest = text.decode().partition("[")
        values = json.loads(f"[{rest}")
        yield ("", values[0]) if head[0] == "3" else (values[0], values[1])
        payload = None if isinstance(payload, bytes) else payload.then


def fits(value: Any, structs: tuple[type[msgspec.Struct], ...]) -> bool:
    """Whether a value is exactly what one of the structs says."""
    for struct in structs:
        try:
            if again(value, struct) == value:
                return True
        except msgspec.ValidationError:
            continue
    return False


def test_events_of_workspaces_are_described() -> None:
    """Each event that the gateway emits has exactly the keys of its struct."""
    protocol = WorkspacesProtocol("x", ("dashboard",))
    kinds = {kind.word: kind.body for kind in WORKSPACES.server}
    own = [push for push in PUSHES if not isinstance(push, say.Delivery | say.Welcome)]
    found = [each for push in own for each in events(protocol.push(push, 1))]
    for fault in FAULTS:
        fault.command_id = ""
        found += [each for each in events(protocol.reply_error(fault, 1)) if each[0]]
    found += [
        (payloads.UPDATE, payloads.updated("a", {"b": 1}, "ann")),
        (payloads.RESOLVED, payloads.resolved(APPROVAL)),
    ]
    assert [each for each in found if not fits(each[1], (kinds[each[0]],))] == []
    assert {name for name, _ in found} == kinds.keys()


def test_acknowledgements_of_workspaces_are_described() -> None:
    """Each acknowledgement has exactly the keys of one of the structs of its event."""
    protocol = WorkspacesProtocol("x", ("dashboard",))
    structs = tuple({each for many in WORKSPACES.acknowledgements.values() for each in many})
    answers = [protocol.reply(Command(id="1"), reply, 1) for reply in REPLIES]
    for fault in FAULTS:
        fault.command_id = "1"
        answers.append(protocol.reply_error(fault, 1))
    found = [value for answer in answers for name, value in events(answer) if not name]
    assert len(found) > 30
    assert [value for value in found if not fits(value, structs)] == []
    assert WORKSPACES.acknowledgements.keys() == {kind.word for kind in WORKSPACES.client}
