"""Messages that the application takes instead of the commands of the protocol."""

from collections.abc import Mapping
from typing import Final

from portward.model.commands import Command
from portward.model.errors import CommandError, ErrorKind
from portward.model.replies import Done, Reply
from portward.node.commands import Handler
from portward.node.protocol_service import ProtocolService
from portward.node.sessions import ConnectionHandle, Session
from portward.protocols.live.protocol import HandOver

TAKEOVER: Final = "live_messages"
"""The kind of handler that gets all messages of clients, see `Hooks.handlers`."""


class LiveService(ProtocolService):
    """Passes messages to the application."""

    @property
    def handlers(self) -> Mapping[type[Command], Handler]:
        """The handler of messages that the application takes."""
        return {HandOver: self._hand_over}

    async def _hand_over(self, session: Session, command: HandOver) -> Reply:
        hooks = self.context.hooks
        handler = hooks.handler(TAKEOVER, session)
        if handler is None:
            raise CommandError(ErrorKind.INVALID_STRUCTURE)
        try:
            await hooks.run(session, handler, ConnectionHandle(session), command.data)
        except Exception as error:  # noqa: BLE001 - the application's code may raise anything
            hooks.failed(error)
            raise CommandError(ErrorKind.INTERNAL, detail="handler") from None
        return Done()
