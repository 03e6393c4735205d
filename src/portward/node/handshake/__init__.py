"""Handshakes: admission, credentials and the limits before a session exists."""

from portward.node.handshake.admission import AdmissionControl
from portward.node.handshake.closed_refusals import ClosedRefusal, closed_refusal
from portward.node.handshake.cors import cors_headers, preflight, readable_by
from portward.node.handshake.handshake_auth import HandshakeAuthenticator
from portward.node.handshake.handshake_service import AdmittedHandshake, HandshakeService
from portward.node.handshake.session_binding import SessionBinding, follow_up
from portward.node.handshake.session_host import NodeSessionHost
from portward.node.handshake.session_lifecycle import LifecycleReports
from portward.node.handshake.session_opening import HandshakeCompletion, SessionOpening

__all__ = [
    "AdmissionControl",
    "AdmittedHandshake",
    "ClosedRefusal",
    "HandshakeAuthenticator",
    "HandshakeCompletion",
    "HandshakeService",
    "LifecycleReports",
    "NodeSessionHost",
    "SessionBinding",
    "SessionOpening",
    "closed_refusal",
    "cors_headers",
    "follow_up",
    "preflight",
    "readable_by",
]
