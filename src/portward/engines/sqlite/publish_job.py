"""Input and result of a publish in the writer's thread."""

from dataclasses import dataclass
from typing import NamedTuple

from portward.engines.port import PublishResult
from portward.model.channel import Channel
from portward.model.namespace import Namespace
from portward.model.publication import Draft, Publication


@dataclass(frozen=True, slots=True)
class PublishJob:
    """A publication that is to be stored; `now` is Unix time, `life` that of the room's record."""

    channel: Channel
    draft: Draft
    namespace: Namespace
    key: str | None
    now: float
    life: str | None = None


class StoredJob(NamedTuple):
    """Result of an order. Without `publication` it was a duplicate; `created`: the stream is new."""

    stored: PublishResult
    publication: Publication | None
    created: bool
