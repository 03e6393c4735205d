"""Rules about the resources that one client can use: time, memory, descriptors, connections."""

from typing import Final

from portward.model.limits import MIB
from portward.settings.checks.rule import WARN, Context, Problems, RuleTable
from portward.settings.checks.unused import COOKIES, PROVIDER
from portward.settings.endpoint import EndpointSettings

LONGEST_AUTH: Final = 60.0
LONGEST_HEAD: Final = 30.0
LARGEST_MESSAGE: Final = 16 * MIB
LARGEST_UNSENT: Final = 64 * MIB
LONGEST_HISTORY: Final = 100_000
LONGEST_REVALIDATION: Final = 900.0
RULES: Final = RuleTable()


@RULES.rule("accept-rate", "handshakes have a rate")
def _accept_rate(context: Context) -> Problems:
    if not context.settings.gate.accept_rate.count:
        what = "gate.accept_rate is none: handshakes may take the whole processor"
        yield context.grave, what, 'gate.accept_rate = "500/s"'


@RULES.rule("head-timeout", "a request head has little time")
def _head_timeout(context: Context) -> Problems:
    if context.settings.gate.head_timeout > LONGEST_HEAD:
        what = "gate.head_timeout is over 30s: silent sockets hold their places"
        yield context.grave, what, 'gate.head_timeout = "5s"'


@RULES.endpoints("auth-timeout", "authentication has little time")
def _auth_timeout(context: Context, name: str, endpoint: EndpointSettings) -> Problems:
    key = f"endpoints.{name}.auth_timeout"
    if endpoint.auth_timeout > LONGEST_AUTH:
        what = f"{key} is over 60s: connections without a user hold their places"
        yield context.grave, what, f'{key} = "30s"'


@RULES.endpoints("heartbeat", "dead connections are found")
def _heartbeat(context: Context, name: str, endpoint: EndpointSettings) -> Problems:
    if not endpoint.ping_interval and not endpoint.idle_timeout:
        what = f"endpoint {name} neither pings nor closes quiet clients: dead ones stay for ever"
        yield context.grave, what, f'endpoints.{name}.ping_interval = "25s"'


@RULES.endpoints("message-size", "messages have a size that memory allows")
def _message(context: Context, name: str, endpoint: EndpointSettings) -> Problems:
    key = f"endpoints.{name}.max_message"
    if endpoint.max_message > LARGEST_MESSAGE:
        what = f"{key} is over 16MiB: a few clients can take all memory"
        yield context.grave, what, f'{key} = "64KiB"'


@RULES.endpoints("unsent-size", "slow readers are closed before memory runs out")
def _unsent(context: Context, name: str, endpoint: EndpointSettings) -> Problems:
    key = f"endpoints.{name}.backpressure_threshold"
    if endpoint.backpressure_threshold > LARGEST_UNSENT:
        what = f"{key} is over 64MiB: a few slow readers can take all memory"
        yield context.grave, what, f'{key} = "1MiB"'


@RULES.rule("descriptor-reserve", "files and the store have descriptors of their own")
def _reserve(context: Context) -> Problems:
    if not context.settings.gate.descriptor_reserve:
        what = "gate.descriptor_reserve is 0: clients can take the descriptors that files and the"
        yield context.grave, f"{what} store need", "gate.descriptor_reserve = 128"


@RULES.rule("descriptor-limit", "there are descriptors for every connection")
def _descriptors(context: Context) -> Problems:
    limit, gate = context.machine.descriptors, context.settings.gate
    wanted = gate.max_connections + gate.descriptor_reserve
    if 0 < limit < wanted:
        what = f"gate.max_connections needs {wanted} descriptors, and this process may open {limit}"
        change = f"ulimit -n {wanted}  # LimitNOFILE={wanted} in a unit; or fewer connections"
        yield context.grave, what, change


@RULES.rule("history-size", "channels keep a history that memory allows")
def _history(context: Context) -> Problems:
    for space in context.used:
        key = f"namespaces.{space.name}.history_size"
        if space.history_size > LONGEST_HISTORY:
            yield WARN, f"{key} is over 100000 publications a channel", f"{key} = 1000"


@RULES.rule("revalidation", "a logout takes effect within 15 minutes", COOKIES, PROVIDER)
def _revalidation(context: Context) -> Problems:
    if context.settings.identity_provider.revalidate > LONGEST_REVALIDATION:
        what = "identity_provider.revalidate is over 15m: that long a logout has no effect"
        yield WARN, what, 'identity_provider.revalidate = "60s"'
