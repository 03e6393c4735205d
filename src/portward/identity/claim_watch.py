"""Notices a claim that the settings name and that no token has."""

from collections.abc import Callable, Iterable
from typing import Final

from portward.model.claim_path import ClaimPath

TOKENS: Final = 10
"""Accepted tokens without a claim after which it is reported."""

Report = Callable[[tuple[ClaimPath, ...], int], None]
"""Given the claims that never appeared, and in how many tokens."""


class ClaimWatch:
    """Counts accepted tokens until each watched claim has appeared, or enough came without it.

    Reports at most once; then nothing more is counted.
    """

    def __init__(self, watched: Iterable[ClaimPath], report: Report) -> None:
        self._never = tuple(watched)
        self._report = report
        self._tokens = 0

    def accepted(self, absent: tuple[ClaimPath, ...]) -> None:
        """Count a token that was accepted without the claims `absent`."""
        if not self._never:
            return
        self._tokens += 1
        self._never = tuple(path for path in self._never if path in absent)
        if self._never and self._tokens >= TOKENS:
            never, self._never = self._never, ()
            self._report(never, self._tokens)
