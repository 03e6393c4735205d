"""Metrics, the log and the audit chain of the gateway. No caller waits for a write."""

from portward.settings.operation import LogFormat
from portward.telemetry.audit.chain import AuditEntry
from portward.telemetry.audit.checkpoint import Checkpoint, CheckpointStore
from portward.telemetry.audit.log import AuditLog
from portward.telemetry.audit.verify import AuditReport, verify, verify_audit
from portward.telemetry.audit.writer import AuditFile
from portward.telemetry.events import Event
from portward.telemetry.keys import AuditError
from portward.telemetry.labels import AuthResult, RecoveryResult
from portward.telemetry.log import Log
from portward.telemetry.metrics import Metrics
from portward.telemetry.telemetry import Telemetry, make_telemetry

__all__ = [
    "AuditEntry",
    "AuditError",
    "AuditFile",
    "AuditLog",
    "AuditReport",
    "AuthResult",
    "Checkpoint",
    "CheckpointStore",
    "Event",
    "Log",
    "LogFormat",
    "Metrics",
    "RecoveryResult",
    "Telemetry",
    "make_telemetry",
    "verify",
    "verify_audit",
]
