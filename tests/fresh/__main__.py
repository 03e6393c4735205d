"""Run it with `make fresh`, or `python -m tests.fresh`; any Python from 3.11 on will do."""

import os
import pwd
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tests.fresh.demonstration import clone, try_demo
from tests.fresh.environments import PIPS, Environment, Pip, Python, broken, chosen, pythons
from tests.fresh.index import NEWER, Index, asked_with_extras, serving
from tests.fresh.machine import Clock, FreshError, environment

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = "coverage"
"""The package whose extra is taken out, to see that this is noticed."""
NOBODY = "nobody"
TERMINATED = 143


def main() -> int:
    """Try everything; returns the exit code."""
    clock = Clock()
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(TERMINATED)
    )  # so that everything is cleaned up
    with tempfile.TemporaryDirectory(prefix="portward-fresh-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # a part is done by a user without rights
        try:
            try_all(clock, folder)
        except FreshError as error:
            clock.say(f"FAILED: {error}")
            return 1
    clock.say("everything is well")
    return 0


def try_all(clock: Clock, folder: Path) -> None:
    """Make the environments, then serve the demo.

    Raises:
        FreshError: something did not come out as it must.
    """
    found = list(pythons())
    if not found:
        raise FreshError("no Python from 3.11 on can make environments here")
    variables = environment(folder / "home")
    lock = (ROOT / "requirements.lock").read_text()
    newer = asked_with_extras(lock)
    if not newer:
        raise FreshError("the lock pins nothing with an extra")
    copy = folder / "clone"
    clone(clock, ROOT, copy, variables)
    with serving(newer) as index:
        clock.say(f"an index of this machine offers {', '.join(newer)} as {NEWER}")
        tried = [(pip, chosen(pip, found)) for pip in PIPS]
        with ThreadPoolExecutor(len(tried)) as pool:
            jobs = [
                pool.submit(try_pip, clock, folder / f"env{number}", variables, pip, python, index)
                for number, (pip, python) in enumerate(tried)
            ]
            try:
                for job in as_completed(jobs):
                    job.result()
            except BaseException:
                clock.stop()
                raise
        if not any(f"/simple/{name}/" in index.asked for name in newer):
            raise FreshError("no pip has asked the index of this machine")
    try_demo_as_nobody(clock, copy, folder, variables, found)


def try_pip(
    clock: Clock,
    folder: Path,
    variables: Mapping[str, str],
    pip: Pip,
    python: Python | None,
    index: Index,
) -> None:
    """Install the lock and the package with one pip; see that it notices when an extra is missing."""
    if python is None:
        if os.environ.get("CI"):
            raise FreshError(f"pip {pip.version} is not tried: there is no Python that it runs on")
        clock.say(
            f"pip {pip.version} of {pip.where} is left out: there is no Python that it runs on"
        )
        return
    made = Environment(clock, folder, variables)
    version = made.make(python, pip)
    lock = ROOT / "requirements.lock"
    made.install(lock, index)
    made.install_package(folder.parent / "clone")
    clock.say(
        f"pip {version} of {pip.where}, Python {'.'.join(map(str, python.version))}: installed"
    )
    if not pip.strict:
        return
    worse = folder / "broken.lock"
    worse.write_text(broken(lock.read_text(), SAMPLE))
    made.refuses(worse, index, SAMPLE)
    clock.say(f"pip {version}: a lock without the extras of {SAMPLE} is refused")


def try_demo_as_nobody(
    clock: Clock,
    copy: Path,
    folder: Path,
    variables: Mapping[str, str],
    found: Sequence[Python],
) -> None:
    """Serve the demo from the clone, as a user without rights where there is a way to become one."""
    shared = [each for each in found if each.path.startswith("/usr/")]
    user = usable_user() if os.getuid() == 0 and shared else None
    python = (shared if user is not None else found)[0]
    home = folder / "home-of-demo"
    home.mkdir()
    own = {**variables, "HOME": str(home)}
    if user is not None:
        account = pwd.getpwnam(user)
        for path in (home, copy, *copy.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)
        own["PATH"] = "/usr/local/bin:/usr/bin:/bin"
    clock.say(f"make demo, as {user or 'this user'}, in an empty folder with an empty home")
    try_demo(clock, copy, own, python.path, user)


def usable_user() -> str | None:
    """Return a user without rights; None where there is none, or `make` is not for everybody."""
    try:
        pwd.getpwnam(NOBODY)
    except KeyError:
        return None
    return NOBODY if shutil.which("make", path="/usr/bin:/bin") else None


if __name__ == "__main__":
    sys.exit(main())
