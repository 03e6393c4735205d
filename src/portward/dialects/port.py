"""The older name of `portward.dialects.base`, for one release."""

from portward.model.renamed import older_names

__getattr__ = older_names(
    "portward.dialects.port",
    {"Dialect": "portward.dialects.base.Dialect", "Ranking": "portward.dialects.base.Ranking"},
)
