"""The router of the public listener: the path of a request picks its handler, once."""

from collections.abc import Mapping, Sized

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.path_router import PathRouter
from portward.node.sessions import HandshakeGate, PathHandler


class RequestRouter:
    """Finds the handlers of `gate`, or those that a transport puts in their place.

    `polled` are the sessions whose further requests come as new connections: while there are any, sockets
    are accepted over the global cap. Whether a connection is such a request shows only in its head; a new
    session meets the cap again in its handshake.
    """

    def __init__(
        self,
        gate: HandshakeGate,
        handlers: Mapping[str, PathHandler] | None = None,
        polled: Sized = (),
    ) -> None:
        self.gate = gate
        self.polls = bool(handlers)
        """Whether a client may have a second connection, for requests of a session."""
        self._polled = polled
        self.find = PathRouter({**gate.handlers, **(handlers or {})}, gate).find

    def has_capacity(self) -> HandshakeRejection | None:
        """Check the global limit when a socket is accepted; None means that it is admitted."""
        return None if self._polled else self.gate.has_capacity()

    def check_capacity(self) -> None:
        """Check the global limit.

        Raises:
            HandshakeRejected: GLOBAL_CAP.
        """
        refusal = self.has_capacity()
        if refusal is not None:
            raise HandshakeRejected(refusal)
