"""Rules about the resources that one client can use: time, memory, descriptors, connections."""

from collections.abc import Iterator
from typing import Final

from portward.model.limits import MIB
from portward.settings.checks import unused
from portward.settings.checks.rule import CheckLevel, CheckProblem, CheckRule, Context

LONGEST_AUTH: Final = 60.0
LONGEST_HEAD: Final = 30.0
LARGEST_MESSAGE: Final = 16 * MIB
LARGEST_UNSENT: Final = 64 * MIB
LONGEST_HISTORY: Final = 100_000
LONGEST_REVALIDATION: Final = 900.0


def _accept_rate(context: Context) -> Iterator[CheckProblem]:
    if not context.settings.gate.accept_rate.count:
        what = "gate.accept_rate is none: handshakes may take the whole processor"
        yield CheckProblem(context.grave, what, 'gate.accept_rate = "500/s"')


def _head_timeout(context: Context) -> Iterator[CheckProblem]:
    if context.settings.gate.head_timeout > LONGEST_HEAD:
        what = "gate.head_timeout is over 30s: silent sockets hold their places"
        yield CheckProblem(context.grave, what, 'gate.head_timeout = "5s"')


def _auth_timeout(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        if endpoint.auth_timeout > LONGEST_AUTH:
            key = f"endpoints.{name}.auth_timeout"
            what = f"{key} is over 60s: connections without a user hold their places"
            yield CheckProblem(context.grave, what, f'{key} = "30s"')


def _heartbeat(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        if not endpoint.ping_interval and not endpoint.idle_timeout:
            key = f"endpoints.{name}.ping_interval"
            what = (
                f"endpoint {name} neither pings nor closes quiet clients: dead ones stay for ever"
            )
            yield CheckProblem(context.grave, what, f'{key} = "25s"')


def _message(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        if endpoint.max_message > LARGEST_MESSAGE:
            key = f"endpoints.{name}.max_message"
            what = f"{key} is over 16MiB: a few clients can take all memory"
            yield CheckProblem(context.grave, what, f'{key} = "64KiB"')


def _unsent(context: Context) -> Iterator[CheckProblem]:
    for name, endpoint in context.served.items():
        if endpoint.backpressure_threshold > LARGEST_UNSENT:
            key = f"endpoints.{name}.backpressure_threshold"
            what = f"{key} is over 64MiB: a few slow readers can take all memory"
            yield CheckProblem(context.grave, what, f'{key} = "1MiB"')


def _reserve(context: Context) -> Iterator[CheckProblem]:
    if not context.settings.gate.descriptor_reserve:
        what = "gate.descriptor_reserve is 0: clients can take the descriptors that files and the"
        yield CheckProblem(context.grave, f"{what} store need", "gate.descriptor_reserve = 128")


def _descriptors(context: Context) -> Iterator[CheckProblem]:
    limit, gate = context.machine.descriptors, context.settings.gate
    wanted = gate.max_connections + gate.descriptor_reserve
    if 0 < limit < wanted:
        what = f"gate.max_connections needs {wanted} descriptors, and this process may open {limit}"
        change = f"ulimit -n {wanted}  # LimitNOFILE={wanted} in a unit; or fewer connections"
        yield CheckProblem(context.grave, what, change)


def _history(context: Context) -> Iterator[CheckProblem]:
    for space in context.used:
        if space.history_size > LONGEST_HISTORY:
            key = f"namespaces.{space.name}.history_size"
            what = f"{key} is over 100000 publications a channel"
            yield CheckProblem(CheckLevel.WARN, what, f"{key} = 1000")


def _revalidation(context: Context) -> Iterator[CheckProblem]:
    if context.settings.identity_provider.revalidate > LONGEST_REVALIDATION:
        what = "identity_provider.revalidate is over 15m: that long a logout has no effect"
        yield CheckProblem(CheckLevel.WARN, what, 'identity_provider.revalidate = "60s"')


RESOURCE_RULES: Final = (
    CheckRule("accept-rate", "handshakes have a rate", _accept_rate),
    CheckRule("head-timeout", "a request head has little time", _head_timeout),
    CheckRule("auth-timeout", "authentication has little time", _auth_timeout),
    CheckRule("heartbeat", "dead connections are found", _heartbeat),
    CheckRule("message-size", "messages have a size that memory allows", _message),
    CheckRule("unsent-size", "slow readers are closed before memory runs out", _unsent),
    CheckRule("descriptor-reserve", "files and the store have descriptors of their own", _reserve),
    CheckRule("descriptor-limit", "there are descriptors for every connection", _descriptors),
    CheckRule("history-size", "channels keep a history that memory allows", _history),
    CheckRule(
        "revalidation",
        "a logout takes effect within 15 minutes",
        _revalidation,
        unused=unused.any_of(unused.no_cookies, unused.no_provider),
    ),
)
