import socket

from portward.cli.ports import can_listen, free_port


def test_taken_port() -> None:
    """A port somebody listens on cannot be had, and the next free one is found."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert not can_listen("127.0.0.1", port)
        found = free_port("127.0.0.1", port)
        assert found > port
        assert can_listen("127.0.0.1", found)


def test_ports_to_leave_out() -> None:
    """A port that is spoken for is passed over."""
    free = free_port("127.0.0.1", 20_000)
    assert free_port("127.0.0.1", free, free) > free


def test_no_port_left() -> None:
    """Beyond the last port there is none."""
    assert free_port("127.0.0.1", 65_536) == 0


def test_host_that_is_none() -> None:
    """At a name that stands for no address nobody can listen."""
    assert not can_listen("nowhere.invalid", 1)
