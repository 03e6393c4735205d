import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import servers
from bench.load import Script, head
from bench.processes import BenchError, build, cpu_seconds, family, resident_bytes
from bench.servers import Workshop

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """The compiled programs."""
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture
def floor(workshop: Workshop) -> Iterator[servers.Simple]:
    """A running floor."""
    with servers.floor(workshop) as server:
        yield server


@pytest.mark.parametrize("size", [10, 125, 126, 128, 40_000])
def test_every_publication_is_counted_once(floor: servers.Simple, size: int) -> None:
    """Frames of every form of length reach every connection."""
    with floor.load(3) as load:
        load.open(2)
        load.open(1, rate=100)
        floor.publish(4, 0, size)
        assert load.count(12) == (12, 4, 4, 0)


def test_a_lost_publication_is_an_error(floor: servers.Simple) -> None:
    """Fewer publications than expected are not taken for all."""
    with floor.load(2) as load:
        load.open(2)
        floor.publish(2, 0, 128)
        assert load.count(5, patience=0.0).total == 4
        floor.publish(2, 0, 128)
        with pytest.raises(BenchError, match="became"):
            load.expect(2, 1)


def test_a_refused_handshake_is_an_error(workshop: Workshop) -> None:
    """An answer other than 101 ends the load client with the reason."""
    with (
        servers.websockets(workshop, "check", servers.SECRET) as server,
        server.load(1) as load,
        pytest.raises(BenchError, match=r"refused: HTTP/1\.1 401"),
    ):
        load.open(1)


def test_a_conversation_is_played_and_its_message_sent_on_command(workshop: Workshop) -> None:
    """Turns wait for their text before the next message goes out; talking sends the other one."""
    greeting = '{"data": {"content": "hello"}}'
    message = '{"data": {"content": "~mark~"}}'
    turns = ("", greeting, '"hello"', greeting, '"hello"')
    with (
        servers.websockets(workshop, "echo") as server,
        server.load(2, lambda _: Script(head(), turns, message)) as load,
    ):
        load.open(2)
        load.talk(4, rate=1000)
        assert load.count(4) == (4, 2, 2, 4)


def test_a_server_that_is_gone_is_an_error(workshop: Workshop) -> None:
    """A connection that is cut ends the load client, and the floor ends by its id."""
    with servers.floor(workshop) as server, server.load(1) as load:
        load.open(1)
        server.stop()
        with pytest.raises(BenchError, match="cut"):
            load.count(1)


def test_a_process_is_measured_from_outside(floor: servers.Simple) -> None:
    """Work shows in the CPU time, and a live process has memory and itself as its family."""
    before = cpu_seconds(floor.pid)
    with floor.load(2) as load:
        load.open(2)
        floor.publish(50, 0, 128)
        load.expect(2, 50)
    assert cpu_seconds(floor.pid) > before
    assert resident_bytes(floor.pid) > 100_000
    assert family(floor.pid) == [floor.pid]


def test_a_program_that_does_not_compile_is_an_error(tmp_path: Path) -> None:
    """The compiler's words are passed on."""
    source = tmp_path / "wrong.c"
    source.write_text("int main(void) { return }")
    with pytest.raises(BenchError, match=r"wrong\.c does not compile"):
        build(source, tmp_path / "wrong")
