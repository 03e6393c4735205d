"""The older name of `portward.protocols.base`, for one release."""

from portward.model.renamed import older_names

__getattr__ = older_names(
    "portward.protocols.port",
    {"Dialect": "portward.protocols.base.Dialect", "Ranking": "portward.protocols.base.Ranking"},
)
