import msgspec
import pytest

from portward.app.workers import control_protocol
from portward.app.workers.control_protocol import Secrets, Task, WorkerReport


def test_messages_survive_the_way() -> None:
    """What is sent in a line is read from it, line breaks and all."""
    secrets = Secrets(token="t", session="s", admin="a")
    task = Task(number=1, port=80, name="n", folder="/run/x", secrets=secrets)
    assert control_protocol.task.decode(control_protocol.line(task)) == task
    report = WorkerReport(text="two\nlines")
    assert control_protocol.line(report).count(b"\n") == 1
    assert control_protocol.report.decode(control_protocol.line(report)) == report


def test_secrets_are_not_shown() -> None:
    """A task that is printed shows no secret."""
    task = Task(number=1, port=80, name="n", folder="/run/x", secrets=Secrets(token="t0p"))
    assert "t0p" not in repr(task)


def test_nonsense_is_no_report() -> None:
    """A line that is no report is an error of its own kind."""
    with pytest.raises(msgspec.DecodeError):
        control_protocol.report.decode(b"nonsense")
