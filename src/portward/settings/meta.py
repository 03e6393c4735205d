"""Metadata in the annotation of every setting: its meaning and its behaviour."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from msgspec import Meta

from portward.model.limits import Rate
from portward.settings.formats import CLAIM, DURATION, RATE, SIZE

Seconds = Annotated[float, Meta(ge=0), DURATION]
"""A duration; when 0 has a meaning, the key describes it."""
Span = Annotated[float, Meta(gt=0), DURATION]
"""A duration that cannot be zero."""
Bytes = Annotated[int, Meta(ge=1), SIZE]
Count = Annotated[int, Meta(ge=0)]
Pace = Annotated[Rate, RATE]
Claim = Annotated[str | tuple[str, ...], CLAIM]
"""The path of a claim in a token."""


UNSET: Final[Any] = None
"""The value of a key that is not set. Its type is `Any`, because resolution puts a value in its place."""


@dataclass(frozen=True, slots=True)
class FieldMeta:
    """The behaviour of a setting. Its meaning is the docstring below its field.

    `text` is the meaning of a value inside a field, which has no docstring of its own.
    `reload`: SIGHUP applies a new value without a restart. `development` and `production` are the effective
    values of an unset key in these environments, where they differ; `unset` describes the effective value
    where other keys determine it. `free`: a key under which any text is a valid name.
    """

    text: str = ""
    reload: bool = False
    development: object = None
    production: object = None
    unset: str = ""
    free: bool = False


RELOAD: Final = FieldMeta(reload=True)
