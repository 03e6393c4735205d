"""Rules about the transport of a protocol: WebSocket alone, or Engine.IO."""

from collections.abc import Iterator
from typing import Final

from portward.settings.checks import unused
from portward.settings.checks.rule import CheckLevel, CheckProblem, CheckRule, Context
from portward.settings.endpoint import TransportKind


def _carried(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        engine = endpoint.transport is TransportKind.ENGINE_IO
        if endpoint.dialect == "socketio" and not engine:
            what = f"endpoint {name}: Socket.IO is carried by engine.io alone"
            yield CheckProblem(CheckLevel.FAIL, what, f'endpoints.{name}.transport = "engine.io"')
        elif endpoint.dialect == "relay" and engine:
            what = f"endpoint {name}: the relay is carried by websocket alone"
            yield CheckProblem(CheckLevel.FAIL, what, f'endpoints.{name}.transport = "websocket"')


def _pinged(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        if endpoint.transport is TransportKind.ENGINE_IO and not endpoint.ping_interval:
            what = f"endpoint {name}: clients of engine.io leave when nobody pings them"
            yield CheckProblem(CheckLevel.FAIL, what, f'endpoints.{name}.ping_interval = "25s"')


ENGINE_RULES: Final = (
    CheckRule("transport", "every dialect has a transport that carries it", _carried, always=True),
    CheckRule(
        "engine-ping",
        "clients of engine.io are pinged",
        _pinged,
        always=True,
        unused=unused.no_polling,
    ),
)
