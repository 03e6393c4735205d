"""`python -m portward`, and the command `portward`: what has to come before the imports that take time.

Those take a second on a slow machine. A signal that comes meanwhile must not kill a gateway, and a standard
stream that is closed must not let another file have its descriptor.
"""

# `signal` itself imports `enum`, which takes as long as everything else here.
import _signal as signal  # type: ignore[import-not-found]  # it has no types of its own
import os
import sys

SERVING = frozenset({"serve", "demo"})
"""Commands that run until a signal asks for the end."""
INTERRUPTED = 130


def main() -> int:
    """Run the command line; returns the exit code."""
    serving = not SERVING.isdisjoint(sys.argv[1:])
    take_signals(serving=serving)
    open_standard_streams()
    from portward.cli.main import main as run  # noqa: PLC0415 - see above

    try:
        if not serving:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return run()
    except KeyboardInterrupt:
        return INTERRUPTED


def open_standard_streams() -> None:
    """Open what the parent process has closed, so that no file or socket gets a number below 3.

    Standard input is empty then, standard error goes nowhere, and writing to standard output fails, so that
    a command whose result is its output does not seem to have succeeded.
    """
    for descriptor, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, flags), True)  # the lowest number that is free
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as long as the process
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def take_signals(*, serving: bool) -> None:
    """Ignore SIGHUP until a gateway can obey it, and end quietly when asked to before anything runs."""
    if serving:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        # The first process of a container is not ended by a signal that it has no handler for.
        signal.signal(signal.SIGINT, _end)
        signal.signal(signal.SIGTERM, _end)
    elif signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _end(_number: int, _frame: object) -> None:
    os._exit(0)


def _interrupt(_number: int, _frame: object) -> None:
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
