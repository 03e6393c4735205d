import os
import queue
import socket
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from portward.app.workers import control_protocol
from portward.app.workers.control_protocol import Secrets, Task, WorkerOrder, WorkerReport
from portward.app.workers.worker import WorkerPlace, complete, node_name, taken
from portward.settings import Secret, Settings
from portward.settings.keys import ApiKey
from portward.settings.operation import AdminSettings, AuditSettings
from portward.settings.sections import ServerSettings
from portward.settings.tokens import Tokens

PATIENCE = 30.0


class Parent:
    """The other end of a worker's sockets."""

    def __init__(
        self, folder: Path, number: int = 1, admin: tuple[int, ...] = (), **secrets: str
    ) -> None:
        self.sock, theirs = socket.socketpair()
        self.sock.settimeout(PATIENCE)
        self.environment = {control_protocol.VARIABLE: str(theirs.detach()), "HOME": "/"}
        task = Task(
            number=number,
            port=4711,
            name="box",
            folder=str(folder),
            admin=admin,
            secrets=Secrets(**secrets),
        )
        self.sock.sendall(control_protocol.line(task))

    def place(self) -> WorkerPlace:
        """The worker's own."""
        place = taken(self.environment)
        assert place is not None
        return place

    def heard(self) -> WorkerReport:
        """The next report."""
        return control_protocol.report.decode(self.sock.recv(control_protocol.LONGEST_LINE))


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[Parent]:
    """A parent."""
    made = Parent(tmp_path)
    with made.sock:
        yield made


class Deeds:
    """What a worker did, in order, from another thread."""

    def __init__(self) -> None:
        self.done: queue.Queue[str] = queue.Queue()
        self.deeds: dict[WorkerOrder, Callable[[], None]] = {
            order: partial(self.done.put, order.name.lower())
            for order in (WorkerOrder.LEAVE, WorkerOrder.END, WorkerOrder.RELOAD)
        }

    def soon(self, deed: Callable[[], None]) -> None:
        """Do it now."""
        deed()

    def next(self) -> str:
        """Wait for the next one."""
        return self.done.get(timeout=PATIENCE)


def test_no_worker() -> None:
    """Whoever was started by no gateway is no worker."""
    assert taken({"HOME": "/"}) is None


def test_worker_learns_its_task_once(parent: Parent) -> None:
    """A worker takes its task, and what it starts itself inherits nothing of it."""
    place = parent.place()
    assert place.task.number == 1
    assert parent.environment == {"HOME": "/"}
    assert taken(parent.environment) is None
    place.close()


@pytest.mark.parametrize("given", ["", "x", "-1", "999999"])
def test_variable_of_nobody(given: str) -> None:
    """The variable without a parent behind it is an error, not a crash."""
    with pytest.raises(ValueError, match="for a gateway's own workers"):
        taken({control_protocol.VARIABLE: given})


def test_parent_that_is_gone_already() -> None:
    """A parent that left before it said what to do is told as that."""
    ours, theirs = socket.socketpair()
    ours.close()
    with pytest.raises(ValueError, match="is gone"):
        taken({control_protocol.VARIABLE: str(theirs.detach())})


def test_settings_of_a_worker(parent: Parent, tmp_path: Path) -> None:
    """A worker has a name and an audit file of its own, and the port all share."""
    settings = Settings(
        server=ServerSettings(port=0, workers=2), audit=AuditSettings(file="/var/a.jsonl")
    )
    place = parent.place()
    served = place.settings(settings)
    assert (served.server.port, served.server.instance_id) == (4711, "box-1")
    assert served.audit.file == "/var/a.jsonl.1"
    named = replace(settings, server=replace(settings.server, instance_id="east"))
    assert place.settings(named).server.instance_id == node_name("east", 1) == "east-1"
    place.close()
    first = Parent(tmp_path, number=0)
    with first.sock:
        place = first.place()
        assert place.settings(settings).audit.file == "/var/a.jsonl"
        assert place.settings(Settings()).audit.file == ""
        place.close()


def test_announcements(parent: Parent) -> None:
    """The parent is told that a worker accepts, how a reload went, and what went wrong."""
    place = parent.place()
    place.announce("rooms  ws://127.0.0.1:4711/rooms")
    place.announce("ready")
    assert parent.heard() == WorkerReport(ready=True)
    place.announce("reloaded: nothing changed")
    assert parent.heard() == WorkerReport(text="reloaded: nothing changed")
    place.fail("no store")
    assert parent.heard() == WorkerReport(failed="no store")
    parent.sock.close()
    place.announce("ready")
    place.close()


def test_orders(parent: Parent) -> None:
    """Every order is carried out; what is none is passed over."""
    place, deeds = parent.place(), Deeds()
    place.obey(deeds.deeds, deeds.soon, 1.0)
    parent.sock.sendall(b"reload\nnonsense\nlea")
    assert deeds.next() == "reload"
    parent.sock.sendall(b"ve\n" + WorkerOrder.END.value + b"\n")
    assert [deeds.next(), deeds.next()] == ["leave", "end"]
    place.close()
    assert not place.orphan
    assert deeds.done.empty()


def test_replacements_are_counted(tmp_path: Path) -> None:
    """A worker knows how many were replaced before it was started, and each that is replaced later."""
    parent = Parent(tmp_path)
    parent.sock.sendall(b"replaced\nreplaced\nreload\n")
    place, deeds = parent.place(), Deeds()
    assert place.replaced == 0
    place.obey(deeds.deeds, deeds.soon, 1.0)
    assert deeds.next() == "reload"
    assert place.replaced == 2
    place.close()
    parent.sock.close()


def test_admin_listener_is_inherited(tmp_path: Path) -> None:
    """The sockets of the task are those of the worker, which closes them at its end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        parent = Parent(tmp_path, admin=(os.dup(listener.fileno()),))
        place = parent.place()
        assert [each.getsockname() for each in place.admin] == [address]
        assert not any(each.get_inheritable() for each in place.admin)
        place.close()
        assert [each.fileno() for each in place.admin] == [-1]
    parent.sock.close()


def test_orders_given_before(parent: Parent) -> None:
    """An order that came with the task waits until it can be carried out."""
    parent.sock.sendall(b"leave\n")
    place, deeds = parent.place(), Deeds()
    place.obey(deeds.deeds, deeds.soon, 1.0)
    assert deeds.next() == "leave"
    place.close()


def test_parent_that_dies(parent: Parent, tmp_path: Path) -> None:
    """Without its parent a worker leaves; the last one takes the folder along."""
    folder = tmp_path / "sockets"
    folder.mkdir()
    lonely = Parent(folder)
    place, deeds = lonely.place(), Deeds()
    for path in (
        control_protocol.status_socket(str(folder), 1),
        control_protocol.handover_socket(str(folder), 1),
    ):
        Path(path).touch()
    place.obey(deeds.deeds, deeds.soon, 1.0)
    lonely.sock.close()
    assert deeds.next() == "leave"
    place.close()
    assert place.orphan
    assert not folder.exists()


def test_folder_with_others_in_it_stays(tmp_path: Path) -> None:
    """While another worker's sockets are there, the folder is left."""
    lonely = Parent(tmp_path)
    (tmp_path / "status.0").touch()
    place, deeds = lonely.place(), Deeds()
    place.obey(deeds.deeds, deeds.soon, 1.0)
    lonely.sock.close()
    deeds.next()
    place.close()
    assert os.listdir(tmp_path) == ["status.0"]  # noqa: PTH208 - names


def test_loop_that_is_closed(parent: Parent) -> None:
    """An order that comes when the loop has ended is nobody's business any more."""

    def closed(_: Callable[[], None]) -> None:
        raise RuntimeError("Event loop is closed")

    place, deeds = parent.place(), Deeds()
    place.obey(deeds.deeds, closed, 1.0)
    parent.sock.sendall(b"leave\n")
    place.close()
    assert not place.orphan


def test_completing() -> None:
    """What was made up fills what is not configured, and nothing else."""
    secrets = Secrets(token="t" * 40, session="s" * 40, admin="a" * 40)
    filled = complete(Settings(), secrets)
    assert [each.reveal() for each in filled.tokens.secrets] == ["t" * 40]
    assert filled.tokens.session_secret.reveal() == "s" * 40
    assert [each.key.reveal() for each in filled.admin.api_keys] == ["a" * 40]
    own = Settings(
        tokens=Tokens(secrets=(Secret("x" * 40),), session_secret=Secret("y" * 40)),
        admin=AdminSettings(api_keys=(ApiKey(key=Secret("z" * 40)),)),
    )
    assert complete(own, secrets) == own
    assert complete(Settings(), Secrets()) == Settings()
    off = Settings(admin=AdminSettings(enabled=False))
    assert complete(off, secrets).admin == off.admin
    public = Settings(tokens=Tokens(jwks_url="https://issuer.example/keys"))
    assert complete(public, secrets).tokens.secrets == ()
