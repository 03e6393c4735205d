"""The older name of `portward.model.errors`, for one release."""

from portward.model.renamed import older_names

__getattr__ = older_names(
    "portward.model.faults",
    {
        "Fault": "portward.model.errors.CommandError",
        "FaultKind": "portward.model.errors.ErrorKind",
        "CredentialFault": "portward.model.errors.CredentialError",
        "Unavailable": "portward.model.errors.Unavailable",
    },
)
