import pytest
from msgspec.structs import replace

from portward.settings.checks.rule import CheckLevel, Context
from portward.settings.endpoint import EndpointSettings
from portward.settings.sections import Environment
from portward.settings.tree import Settings
from tests.settings.checks.judging import MACHINE


@pytest.mark.parametrize(
    ("environment", "level"),
    [(Environment.DEVELOPMENT, CheckLevel.WARN), (Environment.PRODUCTION, CheckLevel.FAIL)],
)
def test_production_is_stricter(environment: Environment, level: CheckLevel) -> None:
    """What is grave is a warning in development and a fail in production."""
    tree = Settings(environment=environment)
    assert Context(tree, MACHINE).grave is level


def test_only_what_is_served_is_judged() -> None:
    """Endpoints that are off do no harm."""
    tree = replace(
        Settings(), endpoints={"a": EndpointSettings(), "b": EndpointSettings(enabled=False)}
    )
    assert list(Context(tree, MACHINE).served) == ["a"]
