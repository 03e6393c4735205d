"""Publishing from a backend: the methods of the admin API, with retries that publish once.

`Publisher` blocks, `AsyncPublisher` is for asyncio. Both keep connections open, bound every wait, and
repeat calls that failed temporarily. The API key is in no repr, log or error.
"""

from portward.client.publisher.errors import (
    CallRefused,
    CallTimedOut,
    GatewayUnreachable,
    PublisherError,
    UnexpectedAnswer,
)
from portward.client.publisher.publishers import AsyncPublisher, Publisher
from portward.client.publisher.results import (
    ApprovalState,
    BroadcastOutcome,
    Connections,
    History,
    NodeInfo,
    OpenConnection,
    PresentClient,
    Published,
    RoomRecord,
    Rooms,
    SecurityEvent,
    StoredPublication,
    Ticket,
)
from portward.client.publisher.retries import Retries

__all__ = [
    "ApprovalState",
    "AsyncPublisher",
    "BroadcastOutcome",
    "CallRefused",
    "CallTimedOut",
    "Connections",
    "GatewayUnreachable",
    "History",
    "NodeInfo",
    "OpenConnection",
    "PresentClient",
    "Published",
    "Publisher",
    "PublisherError",
    "Retries",
    "RoomRecord",
    "Rooms",
    "SecurityEvent",
    "StoredPublication",
    "Ticket",
    "UnexpectedAnswer",
]
