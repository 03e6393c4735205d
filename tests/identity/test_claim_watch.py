from portward.identity.verifier import TOKENS, ClaimWatch
from portward.model.claim_path import ClaimPath

ROLES, TENANT = ClaimPath.parse("realm_access.roles"), ClaimPath.parse("tenant")


class Reports:
    """What a watch reported."""

    def __init__(self) -> None:
        self.made: list[tuple[tuple[ClaimPath, ...], int]] = []

    def __call__(self, paths: tuple[ClaimPath, ...], tokens: int) -> None:
        """Take one."""
        self.made.append((paths, tokens))


def test_a_claim_that_never_appears_is_reported_once() -> None:
    """After enough tokens without it a claim is reported, and never again."""
    reports = Reports()
    watch = ClaimWatch((ROLES, TENANT), reports)
    for _ in range(TOKENS - 1):
        watch.accepted((ROLES, TENANT))
    assert reports.made == []
    for _ in range(3 * TOKENS):
        watch.accepted((ROLES, TENANT))
    assert reports.made == [((ROLES, TENANT), TOKENS)]


def test_a_claim_that_appeared_is_not_reported() -> None:
    """One token with the claim is enough."""
    reports = Reports()
    watch = ClaimWatch((ROLES, TENANT), reports)
    watch.accepted((TENANT,))
    for _ in range(TOKENS):
        watch.accepted((ROLES, TENANT))
    assert reports.made == [((TENANT,), TOKENS)]


def test_nothing_is_watched_by_default() -> None:
    """Without configured claims nothing is reported."""
    reports = Reports()
    watch = ClaimWatch((), reports)
    for _ in range(TOKENS):
        watch.accepted(())
    assert reports.made == []
