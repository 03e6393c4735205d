"""The tables of the upstreams of `relay` endpoints. Times are seconds."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from portward.settings.formats import JSON, SIZE
from portward.settings.meta import RELOAD, Count, FieldMeta, Seconds, Span
from portward.settings.secret import Secret


class RelayMode(StrEnum):
    """Which client events go upstream when there is no list of allowed events."""

    OPEN = "open"
    STRICT = "strict"


class UpstreamSettings(Struct, frozen=True, kw_only=True):
    """A realtime API with costs, and the limits for clients that use it through the gateway."""

    url: Annotated[str, RELOAD] = "wss://api.openai.com/v1/realtime?model={model}"
    """Its address; `{model}` stands for the model, percent-encoded, which else is not sent."""
    api_key: Annotated[Secret, RELOAD] = Secret()
    """Key it is paid with; no client ever sees it."""
    api_key_file: Annotated[str, RELOAD] = ""
    """File that holds `api_key`."""
    auth_header: Annotated[str, RELOAD] = "Authorization"
    """Header that carries the key, such as `api-key` for Azure."""
    auth_scheme: Annotated[
        str | None,
        FieldMeta(reload=True, unset="`Bearer` in `Authorization`, none in another header"),
    ] = None
    """Word before the key in that header; empty for none."""
    models: Annotated[tuple[str, ...], RELOAD] = ("gpt-realtime",)
    """Models clients may choose; the first is the default."""
    parameters: Annotated[tuple[str, ...], RELOAD] = ("intent", "call_id")
    """Parameters of a client's address that are passed on, beside `model`; any other is refused
    with 400.
    """
    allow_private: Annotated[bool, RELOAD] = False
    """Whether it may have a private, loopback or link-local address."""
    connect_timeout: Annotated[Span, RELOAD] = 10.0
    """Time it has to accept a connection."""
    policy: Annotated[RelayMode, RELOAD] = RelayMode.OPEN
    """`strict`: only the events of `allow_events` go upstream."""
    allow_events: Annotated[tuple[str, ...], RELOAD] = ()
    """Types of client events that go upstream; empty: all of them, with `strict` none."""
    allow_binary: Annotated[bool, RELOAD] = False
    """Whether binary messages that are no JSON go upstream; never with `strict`, `allow_events` or
    a pin.
    """
    max_duration: Annotated[Seconds, RELOAD] = 3600.0
    """Longest time of one connection; 0 for no bound."""
    max_messages: Annotated[Count, RELOAD] = 0
    """Messages of one connection, from its client; 0 for no bound."""
    max_bytes: Annotated[int, Meta(ge=0), SIZE, RELOAD] = 0
    """Bytes of one connection, both ways; 0 for no bound."""
    max_tokens: Annotated[Count, RELOAD] = 0
    """Tokens one user may use in a day (UTC), by the upstream's own count; 0 for no limit."""
    tokens_per_second: Annotated[float, Meta(ge=0), RELOAD] = 10.0
    """Tokens that a second of audio counts for in `max_tokens`, where the upstream reports
    seconds; 0: seconds are not bounded.
    """
    pin: Mapping[
        str,
        Annotated[
            Any,
            JSON,
            FieldMeta(
                "what this field of the upstream's session is set to by the gateway and not by"
                " clients, such as `model`, `instructions`, `tools`, `max_output_tokens`",
                reload=True,
            ),
        ],
    ] = field(default_factory=dict)
    """Fields of the upstream's session that clients cannot set."""

    @property
    def passed(self) -> frozenset[str]:
        """The query parameters of a client's address that are copied to the upstream's address.

        Parameters that the upstream's address already has are not copied, nor those that the gateway itself
        uses. A pinned session has a fixed type: then `intent`, which chooses a type, is copied only when
        that type is `transcription`.
        """
        fixed = {pair.partition("=")[0] for pair in self.url.partition("?")[2].split("&")}
        passed = frozenset(self.parameters) - fixed - {"model", "token", "ticket"}
        chooses = not self.pin or self.pin.get("type") == "transcription"
        return passed if chooses else passed - {"intent"}

    @property
    def scheme(self) -> str:
        """The scheme before the key in its header; empty for none."""
        if self.auth_scheme is None:
            return "Bearer" if self.auth_header.lower() == "authorization" else ""
        return self.auth_scheme
