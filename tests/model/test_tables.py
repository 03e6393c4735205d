"""The tables of the model: their figures, their shapes, and that nothing is missing from them."""

import re

import pytest

from portward.model import commands
from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import RATE_FAULTS, CommandError, ErrorKind
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.lifecycle import TRANSITIONS, State, Transition
from portward.model.limits import DEFAULT_RATES, LimitMode, LimitName, Rate
from portward.model.namespace import Namespace

TOKEN = re.compile(r"[a-z]+( [a-z]+)*|")


ENDINGS = {
    "NORMAL": (1000, ""),
    "GOING_AWAY": (1001, ""),
    "PROTOCOL_ERROR": (1002, ""),
    "WRONG_DATA": (1003, ""),
    "INVALID_UTF8": (1007, ""),
    "FLOODING": (1008, "policy violation"),
    "TOO_BIG": (1009, ""),
    "INTERNAL": (1011, ""),
    "UPSTREAM_CLOSED": (1000, "upstream closed"),
    "TRY_LATER": (1013, "try again later"),
    "BAD_GATEWAY": (1014, "bad gateway"),
    "SHUTDOWN": (3001, "shutdown"),
    "EXPIRED": (3005, "expired"),
    "SLOW": (3008, "slow"),
    "NO_PONG": (3012, "no pong"),
    "TOO_MANY_REQUESTS": (3013, "too many requests"),
    "IDLE": (3014, "idle"),
    "AUTH_FAILED": (3500, "invalid token"),
    "TOO_MANY_FAULTS": (3501, "bad request"),
    "AUTH_TIMEOUT": (3502, "stale"),
    "REVOKED": (3503, "force disconnect"),
    "CONNECTION_LIMIT": (3504, "connection limit"),
    "QUOTA": (3504, "quota exceeded"),
    "PERMISSION_LOST": (3507, "permission denied"),
}


def test_endings() -> None:
    """Every ending has its code and its fixed reason."""
    assert {each.name: (each.code, each.reason) for each in Disconnect} == ENDINGS


@pytest.mark.parametrize("ending", list(Disconnect))
def test_ending_codes_tell_whether_to_come_back(ending: Disconnect) -> None:
    """Codes 3000-3499 invite a reconnect and 3500-3999 forbid it; reasons are fixed tokens."""
    if 3000 <= ending.code < 4000:
        assert ending.reconnect is (ending.code < 3500)
    assert TOKEN.fullmatch(ending.reason)
    assert ending.meaning


def test_faults_are_distinct() -> None:
    """No two faults share a code, and every limit's fault can be tried again."""
    assert len({kind.code for kind in ErrorKind}) == len(ErrorKind)
    assert all(kind.temporary for kind in RATE_FAULTS)
    assert {kind for kind in ErrorKind if kind.temporary} == {
        *RATE_FAULTS,
        ErrorKind.INTERNAL,
        ErrorKind.UNAVAILABLE,
    }


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_fault_rows(kind: ErrorKind) -> None:
    """Each fault has a code in snake case, a number of Centrifugo's range, and a sentence."""
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)
    assert 100 <= kind.number <= 113
    assert re.fullmatch(r"[A-Z][a-z ]+", kind.text)


def test_fault_shows_its_code_alone() -> None:
    """What a fault looks like in a log has no detail of the client's."""
    fault = CommandError(ErrorKind.TOO_LONG, retry_after=5, command_id="secret", detail="secret")
    assert str(fault) == "too_long"
    assert (fault.retry_after, fault.command_id, fault.detail) == (5, "secret", "secret")


STATUS = {
    400: {"bad_request", "multiple_credentials"},
    401: {"unauthenticated"},
    403: {"origin", "host", "insecure", "forbidden"},
    404: {"unknown_path"},
    405: {"method"},
    408: {"head_timeout"},
    414: {"uri_too_long"},
    426: {"wrong_version"},
    429: {"rate", "address_cap", "user_cap"},
    431: {"headers_too_large"},
    500: {"internal"},
    503: {
        "disabled", "global_cap", "unauthenticated_cap", "endpoint_cap", "draining", "overload",
        "unavailable",
    },
}  # fmt: skip


def test_refusals() -> None:
    """Every refusal has its status; those that pass say when to come again."""
    found: dict[int, set[str]] = {}
    for refusal in HandshakeRejection:
        found.setdefault(refusal.status, set()).add(refusal.reason)
    assert found == STATUS
    retry = {refusal.reason for refusal in HandshakeRejection if refusal.retry}
    assert retry == STATUS[429] | STATUS[503] - {"disabled"}


def test_headers_of_refusals() -> None:
    """The headers a status wants are with it, and credentials are not to be stored."""
    assert ("Sec-WebSocket-Version", "13") in HandshakeRejection.WRONG_VERSION.headers
    assert ("Allow", "GET") in HandshakeRejection.METHOD.headers
    challenge = ("WWW-Authenticate", 'Bearer error="invalid_token"')
    assert challenge in HandshakeRejection.UNAUTHENTICATED.headers
    for refusal in (
        HandshakeRejection.UNAUTHENTICATED,
        HandshakeRejection.FORBIDDEN,
        HandshakeRejection.MULTIPLE_CREDENTIALS,
    ):
        assert ("Cache-Control", "no-store") in refusal.headers


def test_refused_shows_its_reason_alone() -> None:
    """What a refusal looks like in a traceback has no detail."""
    refused = HandshakeRejected(HandshakeRejection.RATE, "detail", retry_after=2.5)
    assert (str(refused), refused.detail, refused.retry_after) == ("rate", "detail", 2.5)


def test_sessions_end_for_good() -> None:
    """Every state but the last can end, the last has no way out, and all states can be reached."""
    assert {state for state, move in TRANSITIONS if move is Transition.END} == set(State) - {
        State.ENDED
    }
    assert not [state for state, _ in TRANSITIONS if state is State.ENDED]
    assert {*TRANSITIONS.values(), State.NEW} == set(State)


def test_nobody_skips_authentication() -> None:
    """From the first state one is admitted or ended, nothing else."""
    moves = {move for state, move in TRANSITIONS if state is State.NEW}
    assert moves == {Transition.ADMIT, Transition.END}


def test_default_limits() -> None:
    """The defaults are the documented ones, and every limit by rate has one."""
    figures = {name: (rate.count, rate.period, rate.burst) for name, rate in DEFAULT_RATES.items()}
    assert figures == {
        LimitName.ATTEMPTS: (600, 60, 600),
        LimitName.MESSAGES: (60, 60, 60),
        LimitName.AUTH: (100, 60, 10),
        LimitName.JOIN: (20, 60, 20),
        LimitName.HISTORY: (30, 60, 30),
        LimitName.TYPING: (30, 60, 30),
        LimitName.FRAMES: (200, 1, 400),
        LimitName.CONTROL_FRAMES: (10, 1, 20),
    }
    assert set(DEFAULT_RATES) == set(LimitName) - {LimitName.CONNECTIONS}
    assert all(rate.mode is LimitMode.ENFORCE for rate in DEFAULT_RATES.values())


def test_interval_of_a_rate() -> None:
    """A rate knows the time between two events; no rate has none."""
    assert (Rate(4, 60.0, 1).interval, Rate(0, 60.0, 1).interval) == (15.0, 0.0)


def test_what_is_answered_before_authentication() -> None:
    """Only proving oneself and a heartbeat."""
    kinds = (kind for kind in Command.__subclasses__() if kind.before_authentication)
    assert {kind.__name__ for kind in kinds} - {"OpenSocket", "CloseSocket"} == {
        "Authenticate", "Resume", "Ping",
    }  # fmt: skip


def test_commands_have_no_defaults_for_secrets() -> None:
    """No command shows its token."""
    secret = "eyJ.secret.token"
    shown = [
        repr(commands.Authenticate(token=secret)),
        repr(commands.Resume(session_token=secret)),
        repr(commands.Refresh(token=secret)),
    ]
    assert not [text for text in shown if "secret" in text]
    assert issubclass(commands.Authenticate, Command)


def test_namespaces_deny_by_default() -> None:
    """A family nobody configured keeps nothing, tells nobody, and lets nobody in."""
    namespace = Namespace(name="x")
    assert (namespace.authorize.value, namespace.publish.value) == ("deny", "server")
    assert (namespace.presence, namespace.history_size, namespace.cooldown) == (False, 0, 0)
