"""Approval requests: how the backend creates and reads them."""

import re
import secrets
from typing import Any, Final

import msgspec

from portward.model.approval import Approval
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.errors import CommandError, ErrorKind
from portward.model.limits import DATA
from portward.node.stores import Stores
from portward.protocols.socketio.attachments import has_bytes
from portward.protocols.workspaces.handlers import WorkspaceCommands

DEFAULT_LIFE: Final = 3600.0
MAX_LIFE: Final = 30 * 86400.0
MAX_TITLE: Final = 200
MAX_ID: Final = 64
_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}\Z")
"""A valid id: it has only characters that need no escaping in a URL."""


class ApprovalRequests:
    """Creates and reads approval requests, which users decide."""

    def __init__(self, stores: Stores, workspaces: WorkspaceCommands, clock: Clock) -> None:
        self._stores = stores
        self._workspaces = workspaces
        self._clock = clock

    async def ask(
        self,
        channel: Channel,
        title: str,
        data: Any = None,
        *,
        life: float = DEFAULT_LIFE,
        id: str | None = None,  # noqa: A002 - what it is
    ) -> Approval:
        """Ask the subscribers of `channel` for a decision within `life` seconds, at most 30 days.

        The request is stored until it is decided or has expired, also when there is no subscriber.
        Asking again with the same `id` and content changes nothing and returns the first request.

        Raises:
            CommandError: the title or the data is too long or not JSON, or too many requests are pending in
                the channel, or the id belongs to another request.
            Unavailable: it is unknown whether the request was stored; ask again with the same id.
        """
        _check(title, life, id)
        data = _plain(title, data)
        now = self._clock.time()
        approval = Approval(
            id=id or secrets.token_hex(16),
            channel=channel,
            title=title,
            data=data,
            created_at=now,
            expires_at=now + life,
        )
        if await self._workspaces.ask(approval):
            return approval
        known = await self._stores.approvals.get(approval.id)
        if known is None:
            raise CommandError(
                ErrorKind.LIMIT_EXCEEDED, detail="too many requests wait in this room"
            )
        if (known.channel, known.title, known.data) != (channel, title, data):
            raise CommandError(
                ErrorKind.INVALID_STRUCTURE, detail="the id is taken by another request"
            )
        if known.pending(now):  # the first call may have stored it without announcing it
            await self._workspaces.announce(known)
        return known

    async def get(self, approval: str) -> Approval | None:
        """Return a request and its verdict; None when it is unknown or was deleted after its end."""
        return await self._stores.approvals.get(approval)

    def pending(self, approval: Approval) -> bool:
        """Return whether the request can still be decided."""
        return approval.pending(self._clock.time())


def _check(title: str, life: float, identifier: str | None) -> None:
    if not 0 < len(title) <= MAX_TITLE:
        raise CommandError(
            ErrorKind.INVALID_STRUCTURE, detail=f"the title has 1 to {MAX_TITLE} characters"
        )
    if not 0 < life <= MAX_LIFE:
        raise CommandError(ErrorKind.INVALID_STRUCTURE, detail="it expires within 30 days")
    if identifier is not None and not _ID.match(identifier):
        text = f"an id has 1 to {MAX_ID} letters, digits and `._:-`"
        raise CommandError(ErrorKind.INVALID_STRUCTURE, detail=text)


def _plain(title: str, data: Any) -> Any:
    """Return the data after a JSON round trip, the form in which every engine returns it."""
    try:
        title.encode()
        json = b"" if has_bytes(data) else msgspec.json.encode(data)
    except (TypeError, ValueError, RecursionError):
        json = b""
    if not json:
        raise CommandError(
            ErrorKind.INVALID_STRUCTURE, detail="the title or the data is no JSON value"
        )
    if len(json) > DATA // 2:
        raise CommandError(ErrorKind.TOO_LONG, detail=f"data has at most {DATA // 2} bytes of JSON")
    return msgspec.json.decode(json)
