import pytest

from portward.model.limits import CONNECTIONS_PER_ADDRESS, DEFAULT_RATES, LimitMode, LimitName, Rate
from portward.settings.limits import (
    DEFAULT_LIMITS,
    ConnectionLimit,
    Limits,
    RateLimit,
    resolved_connections,
    resolved_rate,
)
from portward.settings.resolve import resolve
from tests.settings.reading import settings as load_settings

RATES = [name for name in LimitName if name is not LimitName.CONNECTIONS]


def test_there_is_a_table_for_every_limit() -> None:
    """The settings know exactly the limits of the model."""
    assert Limits.__struct_fields__ == tuple(LimitName)


@pytest.mark.parametrize("name", RATES)
def test_the_defaults_are_those_of_the_model(name: LimitName) -> None:
    """With nothing written, every rate comes to the figure the model promises."""
    assert resolved_rate(name, DEFAULT_LIMITS, Limits()) == DEFAULT_RATES[name]


@pytest.mark.parametrize("name", RATES)
def test_a_table_without_values_falls_back_to_the_model(name: LimitName) -> None:
    """A tree made by hand may leave everything out."""
    rate = resolved_rate(name, Limits(), Limits())
    assert (rate.count, rate.period) == (DEFAULT_RATES[name].count, DEFAULT_RATES[name].period)


def test_a_new_rate_brings_its_own_burst() -> None:
    """An endpoint's rate is not held down by the burst of the general one."""
    own = Limits(frames=RateLimit(rate=Rate(1000, 1.0, 1000)))
    assert resolved_rate(LimitName.FRAMES, DEFAULT_LIMITS, own) == Rate(1000, 1.0, 1000)


def test_burst_and_mode_can_be_changed_alone() -> None:
    """The rest of the limit stays that of the table above."""
    own = Limits(messages=RateLimit(burst=5, mode=LimitMode.OBSERVE))
    rate = resolved_rate(LimitName.MESSAGES, DEFAULT_LIMITS, own)
    assert rate == Rate(60, 60.0, 5, LimitMode.OBSERVE)


def test_the_general_burst_holds_for_the_general_rate() -> None:
    """Frames keep their burst of 400 when an endpoint says nothing."""
    assert resolved_rate(LimitName.FRAMES, DEFAULT_LIMITS, Limits()).burst == 400


def test_the_limit_on_connections_is_no_rate() -> None:
    """Asking for its rate is a mistake that is told."""
    with pytest.raises(ValueError, match="no rate"):
        resolved_rate(LimitName.CONNECTIONS, DEFAULT_LIMITS, Limits())


def test_connections_resolve_from_the_endpoint_up() -> None:
    """The endpoint's own figure wins, zero included; then the general one; then the model's."""
    general = Limits(connections=ConnectionLimit(max=10, mode=LimitMode.OBSERVE))
    none = Limits(connections=ConnectionLimit(max=0, mode=LimitMode.ENFORCE))
    enforced = LimitMode.ENFORCE
    assert resolved_connections(general, none) == ConnectionLimit(max=0, mode=enforced)
    assert resolved_connections(general, Limits()) == general.connections
    assert resolved_connections(Limits(), Limits()) == ConnectionLimit(
        max=CONNECTIONS_PER_ADDRESS, mode=enforced
    )


@pytest.mark.parametrize("name", ["auth", "frames", "control_frames", "messages"])
def test_a_rate_brings_its_own_burst(name: str) -> None:
    """Where a rate is written without a burst, as many events at once as it counts are let through."""
    tree = load_settings(f'[limits.{name}]\nrate = "3/h"')
    rate = resolve(tree).endpoints["rooms"].rates[LimitName(name)]
    assert (rate.count, rate.period, rate.burst) == (3, 3600.0, 3)
    both = load_settings(f'[limits.{name}]\nrate = "3/h"\nburst = 2')
    assert resolve(both).endpoints["rooms"].rates[LimitName(name)].burst == 2
