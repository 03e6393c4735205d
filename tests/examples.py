"""How many examples a property test with a number of its own tries: 50 times as many when exploring."""

from hypothesis import settings


def examples(count: int) -> int:
    """Return the number of examples for a test that tries `count` in every run."""
    exploring = settings.get_profile("repeatable").max_examples < settings().max_examples
    return 50 * count if exploring else count
