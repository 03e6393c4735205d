"""How long a revocation is kept: until what it takes back would have ended by itself.

It follows from no setting. What no token may do by the settings of today, it may do after a reload.
"""

from collections.abc import Iterable
from typing import Final

from portward.model.limits import INTEGER, MAX_TOKEN
from portward.security.jws import TokenRefused, parse_compact, strict_object

LEAST: Final = 400 * 86400.0
"""Seconds a revocation is kept at least when the end of what it takes back is not known."""
MOST: Final = 100 * 365 * 86400.0
"""Seconds no revocation is kept longer than, whatever a token says of its end."""
SLACK: Final = 120.0
"""A token may be issued in a clock's future and be good past its end: twice the longest leeway."""


def kept_until(now: float, ends: Iterable[float], *, whole: bool) -> float:
    """The Unix time until which a revocation is kept.

    `ends` are the known ends of the credentials it takes back; with `whole` there are no others.
    """
    known = [min(end, now + MOST) for end in ends]
    if not (whole and known):
        known.append(now + LEAST)
    return max(now, *known) + SLACK


def stated_end(token: str) -> float | None:
    """When a token says that it ends; None when it does not say. Nothing is verified."""
    try:
        end = strict_object(parse_compact(token, MAX_TOKEN).payload).get("exp")
    except TokenRefused:
        return None
    if isinstance(end, bool) or not isinstance(end, (int, float)) or abs(end) > INTEGER:
        return None
    return float(end)
