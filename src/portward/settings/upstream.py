"""The table of the upstream that `relay` endpoints lead to. Times are seconds."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from portward.settings.about import About, Count, Seconds, Span
from portward.settings.secret import Secret
from portward.settings.values import JSON, SIZE


class RelayMode(StrEnum):
    """Which events of clients go upstream where no list says so."""

    OPEN = "open"
    STRICT = "strict"


class Upstream(Struct, frozen=True, kw_only=True):
    """A realtime API that is paid for, and what its clients here may ask of it."""

    url: Annotated[
        str,
        About("its address; `{model}` stands for the model, which else is not sent"),
    ] = "wss://api.openai.com/v1/realtime?model={model}"
    api_key: Annotated[
        Secret, About("key it is paid with; no client ever sees it", reload=True)
    ] = Secret()
    api_key_file: Annotated[str, About("file that holds `api_key`", reload=True)] = ""
    models: Annotated[
        tuple[str, ...], About("models clients may choose; the first is the default", reload=True)
    ] = ("gpt-realtime",)
    allow_private: Annotated[
        bool, About("whether it may have a private, loopback or link-local address")
    ] = False
    connect_timeout: Annotated[Span, About("time it has to accept a connection")] = 10.0
    policy: Annotated[
        RelayMode, About("`strict`: only the events of `allow_events` go upstream", reload=True)
    ] = RelayMode.OPEN
    allow_events: Annotated[
        tuple[str, ...],
        About(
            "types of client events that go upstream; empty: all of them, with `strict` none",
            reload=True,
        ),
    ] = ()
    max_duration: Annotated[
        Seconds, About("longest time of one connection; 0 for no bound", reload=True)
    ] = 3600.0
    max_messages: Annotated[
        Count, About("messages of one connection, from its client; 0 for no bound", reload=True)
    ] = 0
    max_bytes: Annotated[
        int,
        Meta(ge=0),
        SIZE,
        About("bytes of one connection, both ways; 0 for no bound", reload=True),
    ] = 0
    max_tokens: Annotated[
        Count,
        About(
            "tokens one user may use in a day (UTC), by the upstream's own count; 0 for no limit",
            reload=True,
        ),
    ] = 0
    pin: Annotated[
        Mapping[
            str,
            Annotated[
                Any,
                JSON,
                About(
                    "what this field of the upstream's session is set to by the gateway and not by"
                    " clients, such as `model`, `instructions`, `tools`, `max_output_tokens`",
                    reload=True,
                ),
            ],
        ],
        About("Fields of the upstream's session that clients cannot set."),
    ] = field(default_factory=dict)
