"""Opening of sessions after an admitted handshake."""

from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, Unavailable
from portward.model.identity import Identity
from portward.model.replies import Welcome
from portward.node.cluster import Revalidation
from portward.node.handshake.session_host import NodeSessionHost
from portward.node.handshake.session_lifecycle import LifecycleReports
from portward.node.protocol_service import ProtocolServices
from portward.node.rights import IdentityBinding, ResumableSessions
from portward.node.sessions import HandshakeFacts, NodeContext, ReplyWriter, Session, Transport


class HandshakeCompletion:
    """Binds the identity of a handshake, and does what the handshake requested."""

    def __init__(
        self,
        context: NodeContext,
        binding: IdentityBinding,
        resumable: ResumableSessions,
        replies: ReplyWriter,
        revalidation: Revalidation,
    ) -> None:
        self._telemetry = context.telemetry
        self._binding = binding
        self._resumable = resumable
        self._replies = replies
        self._revalidation = revalidation

    async def complete(self, session: Session, identity: Identity) -> None:
        """Complete one handshake. Raises no error: an error ends the session."""
        try:
            await self._complete(session, identity)
        except CommandError as fault:
            session.end(Disconnect.AUTH_FAILED, f"after the handshake: {fault}")
        except Unavailable:
            session.end(Disconnect.INTERNAL, "after the handshake: the store cannot be asked")
        except Exception as error:  # noqa: BLE001 - as in the dispatcher
            self._telemetry.failure(error)
            session.end(Disconnect.INTERNAL, "after the handshake")

    async def _complete(self, session: Session, identity: Identity) -> None:
        authenticated = session.endpoint.rules.authenticated
        if authenticated:
            await self._binding.bind(session, identity)
        else:
            self._binding.admit(session, identity)
        if session.handshake.cookies:
            self._revalidation.begin(session)
        await session.protocol.start()
        if session.protocol.resumable and authenticated:
            reply = await self._resumable.open(session, identity)
            self._replies.reply(session, Command(), reply)


class SessionOpening:
    """Creates the sessions of admitted handshakes."""

    def __init__(
        self,
        context: NodeContext,
        host: NodeSessionHost,
        lifecycle: LifecycleReports,
        completion: HandshakeCompletion,
        services: ProtocolServices,
    ) -> None:
        self._registry = context.registry
        self._host = host
        self._lifecycle = lifecycle
        self._completion = completion
        self._open_protocol = services.open

    def open(self, handshake: HandshakeFacts, transport: Transport, *, draining: bool) -> Session:
        """Create and register a session, send `Welcome`, and bind the identity of its handshake.

        While the node is `draining`, the session ends at once.
        """
        session = Session(self._host, handshake, transport, self._open_protocol)
        self._registry.add(session)
        self._lifecycle.connected(session)
        session.push(Welcome(connection_id=session.id))
        session.begin()
        if draining:
            session.end(Disconnect.SHUTDOWN, "let in before the drain began")
        elif handshake.identity is not None:
            session.run(self._completion.complete(session, handshake.identity))
        return session
