"""The handler of a path of Engine.IO: polling requests, new sessions, and upgrades of sessions."""

from msgspec.structs import replace

from portward.model.handshake_errors import HandshakeRejected
from portward.model.path_router import PathParameters, PathRouter, is_pattern
from portward.model.request import RequestHead
from portward.node.sessions import ActiveEndpoint, Admission, PathHandler, RequestHandler
from portward.transports.engineio.http_request import PollingRequest
from portward.transports.engineio.opening import SocketAdmission
from portward.transports.engineio.queries import check, is_upgrade, read_query
from portward.transports.engineio.server import TAGGED, EngineServer
from portward.wire import message as wire


class EnginePath:
    """Implements `node.sessions.PathHandler`: the requests of one endpoint of Engine.IO.

    `handler` admits new sessions.
    """

    def __init__(
        self, server: EngineServer, handler: PathHandler, endpoint: ActiveEndpoint
    ) -> None:
        self.server = server
        self.endpoint = endpoint
        self._handler = handler
        self._find = PathRouter({endpoint.rules.path: endpoint}, endpoint).find

    def answer(self, head: RequestHead) -> RequestHandler | None:
        """A handler for a request that is no WebSocket handshake; None for others."""
        if is_upgrade(head):
            return None
        parameters = self._find(head.path).parameters
        return PollingRequest(
            self.server, self._handler, self.endpoint, self._named(head), parameters
        )

    async def admit(
        self, head: RequestHead, parameters: PathParameters = (), *, upgrade_checked: bool = False
    ) -> Admission:
        """Decide about a WebSocket handshake: a new session, or the upgrade of one.

        Raises:
            HandshakeRejected: the handshake is rejected.
        """
        head = self._named(head)
        query = read_query(head.query)
        if query.sid:
            return await self.server.upgrade(head, query, upgrade_checked=upgrade_checked)
        check(query)
        admission = await self._handler.admit(head, parameters, upgrade_checked=upgrade_checked)
        return SocketAdmission(self.endpoint, admission, base64=query.base64)

    def refused(self, head: RequestHead | None, refused: HandshakeRejected) -> None:
        """Log and count a rejection."""
        self._handler.refused(head, refused)

    def _named(self, head: RequestHead) -> RequestHead:
        """The request with the endpoint's own spelling of its path, with or without a slash at its end."""
        path = self.endpoint.rules.path
        same = head.path == path or is_pattern(path)
        return head if same else replace(head, path=path)

    @staticmethod
    def tag_of(head: RequestHead) -> str:
        """The tag of the session that a request names; empty when it names none."""
        return read_query(head.query).sid.rpartition(TAGGED)[0]


def engine_handlers(server: EngineServer) -> dict[str, EnginePath]:
    """The handlers of all paths of Engine.IO, for the router."""
    return {
        path: EnginePath(server, handler, handler.endpoint)
        for path, handler in server.gate.handlers.items()
        if handler.endpoint is not None and handler.endpoint.framing is wire.ENGINE
    }
