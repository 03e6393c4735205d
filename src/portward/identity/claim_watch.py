"""Detection of a claim that the settings name but that no token has."""

from collections.abc import Callable, Iterable
from typing import Final

from portward.model.claim_path import ClaimPath

TOKENS: Final = 10
"""Accepted tokens without a claim after which the claim is reported."""

Report = Callable[[tuple[ClaimPath, ...], int], None]
"""A function that gets the claims that never appeared, and the number of tokens."""


class ClaimWatch:
    """Counts accepted tokens until each watched claim has appeared, or enough tokens came without it.

    It reports at most once and counts nothing after that.
    """

    def __init__(self, watched: Iterable[ClaimPath], report: Report) -> None:
        self._never = tuple(watched)
        self._report = report
        self._tokens = 0

    def accepted(self, absent: tuple[ClaimPath, ...]) -> None:
        """Count an accepted token that does not have the claims `absent`."""
        if not self._never:
            return
        self._tokens += 1
        self._never = tuple(path for path in self._never if path in absent)
        if self._never and self._tokens >= TOKENS:
            never, self._never = self._never, ()
            self._report(never, self._tokens)
