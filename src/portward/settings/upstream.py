"""The tables of the upstreams of `relay` endpoints. Times are seconds."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from portward.settings.formats import JSON, SIZE
from portward.settings.meta import Count, FieldMeta, Seconds, Span
from portward.settings.secret import Secret


class RelayMode(StrEnum):
    """Which client events go upstream when there is no list of allowed events."""

    OPEN = "open"
    STRICT = "strict"


class UpstreamSettings(Struct, frozen=True, kw_only=True):
    """A realtime API with costs, and the limits for clients that use it through the gateway."""

    url: Annotated[
        str,
        FieldMeta(
            "its address; `{model}` stands for the model, percent-encoded, which else is not sent",
            reload=True,
        ),
    ] = "wss://api.openai.com/v1/realtime?model={model}"
    api_key: Annotated[
        Secret, FieldMeta("key it is paid with; no client ever sees it", reload=True)
    ] = Secret()
    api_key_file: Annotated[str, FieldMeta("file that holds `api_key`", reload=True)] = ""
    auth_header: Annotated[
        str, FieldMeta("header that carries the key, such as `api-key` for Azure", reload=True)
    ] = "Authorization"
    auth_scheme: Annotated[
        str | None,
        FieldMeta(
            "word before the key in that header; empty for none",
            reload=True,
            unset="`Bearer` in `Authorization`, none in another header",
        ),
    ] = None
    models: Annotated[
        tuple[str, ...],
        FieldMeta("models clients may choose; the first is the default", reload=True),
    ] = ("gpt-realtime",)
    parameters: Annotated[
        tuple[str, ...],
        FieldMeta(
            "parameters of a client's address that are passed on, beside `model`; any other is"
            " refused with 400",
            reload=True,
        ),
    ] = ("intent", "call_id")
    allow_private: Annotated[
        bool,
        FieldMeta("whether it may have a private, loopback or link-local address", reload=True),
    ] = False
    connect_timeout: Annotated[
        Span, FieldMeta("time it has to accept a connection", reload=True)
    ] = 10.0
    policy: Annotated[
        RelayMode, FieldMeta("`strict`: only the events of `allow_events` go upstream", reload=True)
    ] = RelayMode.OPEN
    allow_events: Annotated[
        tuple[str, ...],
        FieldMeta(
            "types of client events that go upstream; empty: all of them, with `strict` none",
            reload=True,
        ),
    ] = ()
    allow_binary: Annotated[
        bool,
        FieldMeta(
            "whether binary messages that are no JSON go upstream; never with `strict`,"
            " `allow_events` or a pin",
            reload=True,
        ),
    ] = False
    max_duration: Annotated[
        Seconds, FieldMeta("longest time of one connection; 0 for no bound", reload=True)
    ] = 3600.0
    max_messages: Annotated[
        Count, FieldMeta("messages of one connection, from its client; 0 for no bound", reload=True)
    ] = 0
    max_bytes: Annotated[
        int,
        Meta(ge=0),
        SIZE,
        FieldMeta("bytes of one connection, both ways; 0 for no bound", reload=True),
    ] = 0
    max_tokens: Annotated[
        Count,
        FieldMeta(
            "tokens one user may use in a day (UTC), by the upstream's own count; 0 for no limit",
            reload=True,
        ),
    ] = 0
    tokens_per_second: Annotated[
        float,
        Meta(ge=0),
        FieldMeta(
            "tokens that a second of audio counts for in `max_tokens`, where the upstream reports"
            " seconds; 0: seconds are not bounded",
            reload=True,
        ),
    ] = 10.0
    pin: Annotated[
        Mapping[
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
        ],
        FieldMeta("Fields of the upstream's session that clients cannot set."),
    ] = field(default_factory=dict)

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
