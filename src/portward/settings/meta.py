"""What stands beside the type of every setting: its meaning, and how it behaves."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from portward.model.limits import Rate
from portward.settings.claim_forms import CLAIM
from portward.settings.formats import DURATION, RATE, SIZE

Seconds = Annotated[float, Meta(ge=0), DURATION]
"""A time; where 0 has a meaning, the key says so."""
Span = Annotated[float, Meta(gt=0), DURATION]
"""A time that cannot be nothing."""
Bytes = Annotated[int, Meta(ge=1), SIZE]
Count = Annotated[int, Meta(ge=0)]
Pace = Annotated[Rate, RATE]
Claim = Annotated[str | tuple[str, ...], CLAIM]
"""Where a claim is in a token."""


@dataclass(frozen=True, slots=True)
class FieldMeta:
    """The meaning of a setting in one line.

    `reload`: SIGHUP puts a new value in force without a restart. `development` and `production` are
    what an unset value stands for in either environment, where the two differ; `unset` says in words
    what it stands for where other keys decide. `free`: a key under which any text is a name.
    """

    text: str
    reload: bool = False
    development: object = None
    production: object = None
    unset: str = ""
    free: bool = False
