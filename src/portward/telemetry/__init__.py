"""What the gateway says about itself: metrics, a log, an audit chain. Nobody waits for it."""

from portward.settings.operation import LogFormat
from portward.telemetry.audit import Audit, AuditFile
from portward.telemetry.bundle import Options, Telemetry, open_telemetry
from portward.telemetry.chain import AuditEntry
from portward.telemetry.checkpoint import Checkpoint, CheckpointStore
from portward.telemetry.events import Event
from portward.telemetry.keys import AuditError
from portward.telemetry.labels import AuthResult, RecoveryResult
from portward.telemetry.log import Log
from portward.telemetry.metrics import Metrics
from portward.telemetry.verify import Report, verify, verify_audit

__all__ = [
    "Audit",
    "AuditEntry",
    "AuditError",
    "AuditFile",
    "AuthResult",
    "Checkpoint",
    "CheckpointStore",
    "Event",
    "Log",
    "LogFormat",
    "Metrics",
    "Options",
    "RecoveryResult",
    "Report",
    "Telemetry",
    "open_telemetry",
    "verify",
    "verify_audit",
]
