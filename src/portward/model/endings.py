"""The older name of `portward.model.disconnects`, for one release."""

from portward.model.renamed import older_names

__getattr__ = older_names(
    "portward.model.endings",
    {
        "Ending": "portward.model.disconnects.Disconnect",
    },
)
