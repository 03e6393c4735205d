"""The tables under `limits`, for the gateway and for one endpoint."""

from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta, Struct, defstruct
from msgspec.structs import replace

from portward.model.limits import (
    CONNECTIONS_PER_ADDRESS,
    DEFAULT_RATES,
    LimitMode,
    LimitName,
    Rate,
)
from portward.settings.meta import RELOAD, Count, FieldMeta, Pace

Mode = Annotated[
    LimitMode | None,
    FieldMeta("`enforce`, or `observe`: count and log what would be refused", reload=True),
]


class RateLimit(Struct, frozen=True, kw_only=True):
    """A rate limit. Values that are not set come from the table with the same name one level above."""

    rate: Annotated[Pace | None, RELOAD] = None
    """Events per time, as `60/min`; `none` for no limit."""
    burst: Annotated[Annotated[int, Meta(ge=1)] | None, RELOAD] = None
    """Events at once; as many as the rate counts when not set."""
    mode: Mode = None


class ConnectionLimit(Struct, frozen=True, kw_only=True):
    """A limit on concurrent connections."""

    max: Annotated[Count | None, RELOAD] = None
    """Connections open at once; 0 for no limit."""
    mode: Mode = None


def _default(name: LimitName) -> RateLimit | ConnectionLimit:
    rate = name.rate
    if rate is None:
        return ConnectionLimit(max=CONNECTIONS_PER_ADDRESS, mode=LimitMode.ENFORCE)
    burst = None if rate.burst == rate.count else rate.burst
    return RateLimit(rate=replace(rate, burst=int(rate.count)), burst=burst, mode=rate.mode)


if TYPE_CHECKING:

    class Limits(Struct, frozen=True):
        """One table for each limit: its fields are the rows of `LimitName`."""

        def __init__(self, **limits: RateLimit | ConnectionLimit) -> None: ...
        def __getattr__(self, name: str) -> Any: ...

else:
    Limits = defstruct(
        "Limits",
        [
            (name.value, Annotated[type(limit), FieldMeta(name.text)], type(limit)())
            for name, limit in ((name, _default(name)) for name in LimitName)
        ],
        module=__name__,
        frozen=True,
        kw_only=True,
    )

DEFAULT_LIMITS: Final = Limits(**{name: _default(name) for name in LimitName})


def resolved_rate(name: LimitName, general: Limits, own: Limits) -> Rate:
    """Return the rate of limit `name` from an endpoint's own table over the general table.

    An endpoint's rate also replaces the burst; a burst without a rate replaces only the burst.

    Raises:
        ValueError: `name` is the limit on connections, which is no rate.
    """
    if name is LimitName.CONNECTIONS:
        raise ValueError("the limit on connections is no rate")
    above: RateLimit = getattr(general, name)
    over: RateLimit = getattr(own, name)
    rate = over.rate or above.rate or DEFAULT_RATES[name]
    burst = over.burst or (None if over.rate else above.burst) or rate.burst
    return Rate(rate.count, rate.period, burst, over.mode or above.mode or LimitMode.ENFORCE)


def resolved_connections(general: Limits, own: Limits) -> ConnectionLimit:
    """Return the limit on connections per address, with `max` and `mode` both set."""
    above: ConnectionLimit = getattr(general, LimitName.CONNECTIONS)
    over: ConnectionLimit = getattr(own, LimitName.CONNECTIONS)
    counts = (over.max, above.max, CONNECTIONS_PER_ADDRESS)
    return ConnectionLimit(
        max=next(count for count in counts if count is not None),
        mode=over.mode or above.mode or LimitMode.ENFORCE,
    )
