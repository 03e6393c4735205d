"""The older place of alerts, for one release."""

from portward.model.renamed import older_names

__getattr__ = older_names(
    "portward.model.alert",
    {
        "Alert": "portward.protocols.alerts.record.Alert",
        "Severity": "portward.protocols.alerts.record.Severity",
    },
)
