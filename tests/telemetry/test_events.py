import re

from portward.telemetry.events import Audited, Event, LogSeverity

REQUIRED = re.findall(
    r"\S+",
    """
conn.open conn.close handshake.reject origin.reject auth.ok auth.fail auth.unavailable auth.expire
auth.refresh auth.revoke authz.deny room.create room.kick room.permissions room.remove ratelimit.hit
conn.limit proto.error slow.drop hb.timeout proxyhdr.ignored engine.up engine.down engine.gap
drain.start drain.end audit.fail settings.reload token.header_ignored server.start server.stop
internal.error clock.jump res.loop_lag provider.up provider.down
""",
)


def test_the_vocabulary_is_complete() -> None:
    """Every event operators are promised exists, and is found by its name."""
    assert [Event(name).value for name in REQUIRED] == REQUIRED


def test_names_are_dotted_words() -> None:
    """A name needs no escaping anywhere; those in capitals are an older relay's."""
    assert all(re.fullmatch(r"[a-z_]+(\.[a-z_]+)?|[A-Z_]+", event.value) for event in Event)


def test_an_event_is_its_name() -> None:
    """It compares and hashes as the string, which is its label as well."""
    names: dict[str, int] = {Event.AUTH_FAIL: 1}
    assert names["auth.fail"] == 1
    assert isinstance(Event.AUTH_FAIL, str)


def test_what_attackers_cause_is_sampled_and_what_operators_do_is_not() -> None:
    """The audit of privileged acts has no gaps, and no flood of it can be caused from outside."""
    assert Event.AUTH_FAIL.audited is Audited.SAMPLED
    assert Event.ORIGIN_REJECT.audited is Audited.SAMPLED
    assert Event.AUTH_REVOKE.audited is Audited.ALWAYS
    assert Event.SETTINGS_RELOAD.audited is Audited.ALWAYS
    assert Event.CONN_OPEN.audited is Audited.NO


def test_every_event_has_a_level() -> None:
    """Ordinary life is `info`, and a failure of ours an `error`."""
    assert {event.level for event in Event} == set(LogSeverity)
    assert Event.CONN_OPEN.level is LogSeverity.INFO
    assert Event.INTERNAL_ERROR.level is LogSeverity.ERROR
