"""The interface of protocols: what the node asks of them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError
from portward.model.handshake_errors import HandshakeRejection
from portward.model.identity import Identity
from portward.model.payload import Payload
from portward.model.publication import Publication
from portward.model.replies import Push, Reply
from portward.model.request import RequestHead
from portward.security.credentials import GivenCredential
from portward.settings.resolve import Endpoint


class ProtocolViolation(Exception):  # noqa: N818 - an event of the connection, not a defect
    """The client violates its protocol. The session is closed with 1002; the text is for the log."""


class ClientProtocol(ABC):
    """The protocol of an endpoint. `now` is Unix time in milliseconds, in `receive` monotonic seconds.

    A stateless protocol is one object, which all sessions of its endpoint share. A session of a
    `stateful` protocol has an object of its own, which its `ProtocolService` makes; only on that one are
    `receive` and the methods after it called.
    """

    name: ClassVar[str]
    """The name in settings and logs."""
    binary: ClassVar[bool] = False
    """Whether binary messages are accepted; else they close the connection with 1003."""
    resumable: ClassVar[bool] = False
    """Whether clients get a session token, with which they can resume their session."""
    closes: ClassVar[Mapping[Disconnect, tuple[int, str]]] = {}
    """Close codes and reasons that this protocol fixes differently from the table of disconnects."""
    ranked: ClassVar[bool] = False
    """Whether publications differ in urgency, and a late one can be marked."""
    own_authentication: ClassVar[bool] = False
    """Whether a credential of the handshake is kept for the protocol's own step of authentication."""
    stateful: ClassVar[bool] = False
    """Whether each session has an object of its own."""
    announces: bool = True
    """Whether the client is sent `ShuttingDown`, so that it knows when to come back."""
    ready: bool = True
    """Whether the client may be sent a push now."""
    incomplete_since: float = 0.0
    """When the incomplete message began, in monotonic seconds; 0.0 when there is none."""

    @abstractmethod
    def decode(self, payload: Any, binary: bool) -> Command:
        """Decode one message, as `receive` returned it.

        Raises:
            CommandError: it is invalid in this protocol; has the client's own id when it had one.
            ProtocolViolation: a client does not send it.
        """

    @abstractmethod
    def reply(self, command: Command, reply: Reply, now: int) -> Payload | None:
        """Encode the reply to a command; None when this protocol sends none."""

    @abstractmethod
    def reply_error(self, fault: CommandError, now: int) -> Payload | None:
        """Encode a command error."""

    @abstractmethod
    def push(self, push: Push, now: int) -> Payload | None:
        """Encode a push; None when this protocol has none. A stateless one sends the same bytes to all."""

    def urgency(self, publication: Publication) -> int:  # noqa: ARG002 - for protocols that are `ranked`
        """Return how urgent a publication is: a more urgent one passes the cooldown after another."""
        return 0

    def read_request(
        self,
        head: RequestHead,  # noqa: ARG002 - for protocols with parameters
        credential: GivenCredential | None,  # noqa: ARG002
        rules: Endpoint,  # noqa: ARG002
    ) -> object:
        """Return what a handshake requests of the protocol; it is `HandshakeFacts.request`.

        Raises:
            HandshakeRejected: it is not valid.
        """
        return None

    # -- the session's own object

    def receive(self, payload: bytes, binary: bool, now: float) -> Any:  # noqa: ARG002
        """Return the message that is complete now, None when there is none to handle. It has a length.

        Raises:
            ProtocolViolation: the client violates the protocol.
        """
        return payload

    async def start(self) -> None:  # noqa: B027 - most have nothing to do
        """Do what the handshake requests, once the identity of its credential is bound.

        Raises:
            CommandError: the request is refused; the session is closed.
            Unavailable: a store is not reachable now; the session is closed.
        """

    def peer_closed(self) -> None:  # noqa: B027
        """The client sends nothing more."""

    def closed(self, ending: Disconnect) -> None:  # noqa: B027
        """The session has ended. A last push is still encoded after that."""


class EndpointObserver:
    """Gets the events of one endpoint beside the log. Addresses are masked. The default ignores them."""

    def opened(self, address: str, total: int) -> None:
        """A connection is open; `total` is the number of all connections, this one included."""

    def rejected(self, address: str | None, refusal: HandshakeRejection, *, page: bool) -> None:
        """A handshake was rejected, or with `page` the request for a page of the protocol."""

    def authenticated(self, client: str, address: str, identity: Identity) -> None:
        """A connection is authenticated, or admitted where no credential is required."""

    def credential_refused(self, address: str, code: str) -> None:
        """A credential was refused; `code` is the code of the command error."""


NO_OBSERVER = EndpointObserver()
