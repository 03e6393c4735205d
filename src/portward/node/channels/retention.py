"""The retention of revocations: until the revoked credentials would have expired.

No setting changes it: a token that is too old for the settings of today may be valid after a reload.
"""

from collections.abc import Iterable
from typing import Final

from portward.model.limits import INTEGER, MAX_TOKEN
from portward.security.jws import TokenRefused, parse_compact, strict_object

LEAST: Final = 400 * 86400.0
"""The shortest retention in seconds when the expiry of the revoked credentials is not known."""
MOST: Final = 100 * 365 * 86400.0
"""The longest retention in seconds, whatever expiry a token states."""
SLACK: Final = 120.0
"""A token may be issued in the future of a clock and be valid past its expiry: twice the longest leeway."""


def kept_until(now: float, ends: Iterable[float], *, whole: bool) -> float:
    """Return the Unix time until which a revocation is kept.

    `ends` are the known expiry times of the revoked credentials; with `whole` there are no others.
    """
    known = [min(end, now + MOST) for end in ends]
    if not (whole and known):
        known.append(now + LEAST)
    return max(now, *known) + SLACK


def stated_end(token: str) -> float | None:
    """Return the expiry that a token states; None without one. The token is not verified."""
    try:
        end = strict_object(parse_compact(token, MAX_TOKEN).payload).get("exp")
    except TokenRefused:
        return None
    if isinstance(end, bool) or not isinstance(end, (int, float)) or abs(end) > INTEGER:
        return None
    return float(end)
