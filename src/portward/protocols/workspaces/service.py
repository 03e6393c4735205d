"""Workspaces and Socket.IO namespaces of one node."""

from collections.abc import Mapping

from portward.model.commands import Command, Refresh, Subscribe
from portward.model.identity import Identity
from portward.node.commands import Handler
from portward.node.protocol_service import ProtocolContext, ProtocolService
from portward.node.sessions import ClientProtocol, EndpointObserver, Session
from portward.protocols.socketio.commands import Call, CloseSocket, OpenSocket
from portward.protocols.socketio.connection import SocketIoConnection
from portward.protocols.socketio.namespaces import SocketIoNamespaces
from portward.protocols.socketio.protocol import SocketIoProtocol
from portward.protocols.workspaces.approvals import ApprovalRequests
from portward.protocols.workspaces.commands import Act, Decide, Share
from portward.protocols.workspaces.handlers import WorkspaceCommands
from portward.telemetry import Telemetry


class WorkspacesService(ProtocolService):
    """The Socket.IO namespaces, the commands of workspaces, and the requests for approval."""

    def __init__(self, context: ProtocolContext) -> None:
        super().__init__(context)
        self.namespaces = SocketIoNamespaces(context)
        self._commands = WorkspaceCommands(context)
        self.approvals = ApprovalRequests(context.node.stores, self._commands, context.node.clock)

    @property
    def handlers(self) -> Mapping[type[Command], Handler]:
        """Handlers of Socket.IO packets and of workspace events."""
        return {
            OpenSocket: self.namespaces.open,
            CloseSocket: self.namespaces.close,
            Call: self.namespaces.call,
            Subscribe: self._commands.join,
            Refresh: self._commands.refresh,
            Act: self._commands.act,
            Decide: self._commands.decide,
            Share: self._commands.share,
        }

    def open(self, session: Session) -> ClientProtocol:
        """Return the protocol object of a new session."""
        protocol = session.endpoint.protocol
        assert isinstance(protocol, SocketIoProtocol)  # noqa: S101 - the registration makes no other
        return SocketIoConnection(session, protocol, self.namespaces)


class WorkspaceMembers(EndpointObserver):
    """Counts the authenticated connections by workspace."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._metrics = telemetry.metrics

    def authenticated(self, client: str, address: str, identity: Identity) -> None:  # noqa: ARG002
        """Count a connection for its workspace."""
        self._metrics.workspaces.enter(client, identity.workspace)
