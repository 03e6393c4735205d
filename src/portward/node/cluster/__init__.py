"""Work over several nodes: bus events, rights events, surveys, position checks, periodic maintenance."""

from portward.node.cluster.audit_export import AuditExporter
from portward.node.cluster.bus_events import BusEventHandler
from portward.node.cluster.maintenance import ClusterMaintenance
from portward.node.cluster.position_check import PositionCheck
from portward.node.cluster.revalidation import Revalidation
from portward.node.cluster.rights_events import RightsEventHandler
from portward.node.cluster.survey import Survey, SurveyQuestion, SurveyResult

__all__ = [
    "AuditExporter",
    "BusEventHandler",
    "ClusterMaintenance",
    "PositionCheck",
    "Revalidation",
    "RightsEventHandler",
    "Survey",
    "SurveyQuestion",
    "SurveyResult",
]
