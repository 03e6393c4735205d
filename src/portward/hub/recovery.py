"""Recovery: merges stored history with pushes that arrived during the read, without a gap or a duplicate."""

from typing import NamedTuple

from portward.model.limits import RECOVERY_LIMIT
from portward.model.position import Position
from portward.model.publication import HistoryPage, Publication
from portward.model.replies import Delivery, Push


class Recovery(NamedTuple):
    """The result of a recovery for one subscriber.

    `recovered` is None when no recovery was requested. `missed` is part of the reply; `later` follows it as
    ordinary pushes. `position` is the position of the subscriber after the reply. `result` is the metric
    label: `recovered`, `epoch`, `trimmed` or `too_many`.
    """

    recovered: bool | None
    position: Position
    missed: tuple[Publication, ...]
    later: tuple[Push, ...]
    result: str | None


def merge(since: Position | None, page: HistoryPage, collected: list[Push]) -> Recovery:
    """Decide whether `page`, read after `since`, covers all missed publications.

    It does when the epoch is the same, nothing before its first publication was trimmed, the requested
    offset is not in the future, and no more than `RECOVERY_LIMIT` publications are missing.
    """
    later = tuple(push for push in collected if not _covered(push, page.position))
    if since is None:
        return Recovery(None, page.position, (), later, None)
    result = _judge(since, page)
    recovered = result == "recovered"
    return Recovery(recovered, page.position, page.publications if recovered else (), later, result)


def _judge(since: Position, page: HistoryPage) -> str:
    missing = page.position.offset - since.offset
    if since.epoch != page.position.epoch or missing < 0:
        return "epoch"
    if missing > RECOVERY_LIMIT:
        return "too_many"
    return "recovered" if page.complete and missing == len(page.publications) else "trimmed"


def _covered(push: Push, position: Position) -> bool:
    return (
        isinstance(push, Delivery)
        and push.epoch == position.epoch
        and push.publication.offset <= position.offset
    )
