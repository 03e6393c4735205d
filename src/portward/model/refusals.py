"""The older name of `portward.model.handshake_errors`, for one release."""

from portward.model.renamed import older_names

__getattr__ = older_names(
    "portward.model.refusals",
    {
        "Refusal": "portward.model.handshake_errors.HandshakeRejection",
        "Refused": "portward.model.handshake_errors.HandshakeRejected",
    },
)
