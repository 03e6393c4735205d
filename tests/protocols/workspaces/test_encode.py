"""Replies as acknowledgements, pushes as events."""

from typing import Any

import pytest

from portward.model import replies as say
from portward.model.approval import Approval
from portward.model.channel import Channel
from portward.model.disconnects import Disconnect
from portward.model.position import Position
from portward.model.replies import Push, Reply
from portward.protocols.socketio.commands import nsp_of
from portward.protocols.workspaces import encode
from portward.protocols.workspaces.commands import Acted, Asked, Decided, Sharing

ROOM = Channel.parse("workspaces:w1:dashboard")
HERE = Position(1, "e")
ASKED = Approval(id="r", channel=ROOM, title="T", data=None, created_at=1.0, expires_at=2.0)


@pytest.mark.parametrize(
    ("channel", "nsp"),
    [
        ("workspaces:w1:dashboard", "/"),
        ("workspaces:/x", "/x"),
        ("workspaces:/x,room", "/x"),
        ("workspaces:/x,room,more", "/x"),
        ("workspaces:/x:y,room", "/x:y"),
    ],
)
def test_namespaces_of_channels(channel: str, nsp: str) -> None:
    """A channel is heard in the namespace its name begins with, others in the root."""
    assert nsp_of(Channel.parse(channel)) == nsp


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (say.Subscribed(channel=ROOM, position=HERE), {"joined": "workspace:w1:dashboard"}),
        (say.Unsubscribed(channel=ROOM), {"left": "workspace:w1:dashboard"}),
        (say.Refreshed(session_token="s", expires_at=1.25), {"ok": True, "expiresAt": 1250}),
        (say.Refreshed(session_token="s", expires_at=None), {"ok": True, "expiresAt": None}),
        (Acted(), {"ok": True}),
        (Acted(result=0), {"ok": True, "result": 0}),
        (Decided(), {"ok": True}),
        (Sharing(accepted=True, version=2, value=9), {"ok": True, "version": 2}),
        (
            Sharing(accepted=False, version=2, value=9),
            {"error": "CONFLICT", "version": 2, "value": 9},
        ),
        (say.Done(), None),
        (say.Pong(), None),
    ],
)
def test_answers(reply: Reply, said: Any) -> None:
    """Each reply has its acknowledgement, or none."""
    assert encode.answer(reply) == said


@pytest.mark.parametrize(
    ("push", "said"),
    [
        (say.Expiring(expires_at=1.5), ("token_expiring", {"expiresAt": 1500})),
        (
            say.Removed(channel=ROOM, reason="permission_denied"),
            ("room_left", {"room": "workspace:w1:dashboard", "reason": "permission_denied"}),
        ),
        (say.Removed(channel=Channel.parse("workspaces:/x"), reason="r"), None),
        (say.ShuttingDown(retry=7, address="wss://x"), ("shutdown", {"retryMs": 7})),
        (
            say.SharedChanged(key="k", value=1, version=2),
            ("state_changed", {"key": "k", "value": 1, "version": 2}),
        ),
        (
            Asked(approval=ASKED),
            (
                "approval_requested",
                {"requestId": "r", "title": "T", "data": None, "expiresAt": 2000},
            ),
        ),
        (say.Parting(ending=Disconnect.AUTH_FAILED), ("error", {"code": "INVALID_TOKEN"})),
        (say.Parting(ending=Disconnect.SLOW, retry=7), ("error", {"code": "SLOW", "retryMs": 7})),
        (say.Told(data=[1]), ("message", [1])),
        (say.Welcome(connection_id="c"), None),
        (say.Joined(channel=ROOM, user="ann"), None),
        (say.Left(channel=ROOM, user="ann"), None),
    ],
)
def test_events(push: Push, said: Any) -> None:
    """Each push has its event, or none."""
    assert encode.event(push) == said
