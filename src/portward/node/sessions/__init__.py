"""Sessions: state of a connection, its transport, timers and limits."""

from portward.node.sessions.background import Background
from portward.node.sessions.clock import LoopClock
from portward.node.sessions.cluster_limits import ClusterRateLimiter
from portward.node.sessions.connection_handle import ConnectionHandle
from portward.node.sessions.context import NodeContext, make_context
from portward.node.sessions.drain import Drain
from portward.node.sessions.eager_task import start_eager
from portward.node.sessions.endpoint import (
    ActiveEndpoint,
    HandshakeFacts,
    auto_created,
)
from portward.node.sessions.hooks import ConnectionInfo, HookRunner, Hooks, MessageInfo, describe
from portward.node.sessions.limits import Limiter
from portward.node.sessions.pacing import PACED, fitting, must_wait, pace, size_of, taken
from portward.node.sessions.path_handler import (
    Answer,
    HandshakeGate,
    Headers,
    HttpReply,
    PathHandler,
    RequestHandler,
    ResponseSender,
)
from portward.node.sessions.pending_connections import Pending, PendingConnections
from portward.node.sessions.protocol import (
    NO_OBSERVER,
    ClientProtocol,
    EndpointObserver,
    ProtocolViolation,
)
from portward.node.sessions.refused_commands import count_fault, count_refusal
from portward.node.sessions.replying import ReplyWriter
from portward.node.sessions.session import Session
from portward.node.sessions.subscription import Subscription
from portward.node.sessions.timer_wheel import TimerWheel
from portward.node.sessions.transport import (
    Admission,
    SentCallbacks,
    Transport,
    TransportCallbacks,
)

__all__ = [
    "NO_OBSERVER",
    "PACED",
    "ActiveEndpoint",
    "Admission",
    "Answer",
    "Background",
    "ClientProtocol",
    "ClusterRateLimiter",
    "ConnectionHandle",
    "ConnectionInfo",
    "Drain",
    "EndpointObserver",
    "HandshakeFacts",
    "HandshakeGate",
    "Headers",
    "HookRunner",
    "Hooks",
    "HttpReply",
    "Limiter",
    "LoopClock",
    "MessageInfo",
    "NodeContext",
    "PathHandler",
    "Pending",
    "PendingConnections",
    "ProtocolViolation",
    "ReplyWriter",
    "RequestHandler",
    "ResponseSender",
    "SentCallbacks",
    "Session",
    "Subscription",
    "TimerWheel",
    "Transport",
    "TransportCallbacks",
    "auto_created",
    "count_fault",
    "count_refusal",
    "describe",
    "fitting",
    "make_context",
    "must_wait",
    "pace",
    "size_of",
    "start_eager",
    "taken",
]
