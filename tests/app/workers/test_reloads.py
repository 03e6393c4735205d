from collections.abc import Callable

from msgspec.structs import replace

from portward.app.workers.reloads import Reloads
from portward.settings import Settings, SettingsError
from portward.settings.operation import AdminSettings
from portward.settings.sections import GateSettings, ServerSettings, TlsSettings

OLD = Settings(admin=AdminSettings(enabled=False))
NEW = replace(
    OLD,
    gate=GateSettings(allowed_origins=("https://app.example",)),
    server=ServerSettings(port=4711),
)


class Stage:
    """Two workers that are told to reload, and what is printed."""

    def __init__(self, read: Callable[[], Settings]) -> None:
        self.told = 0
        self.printed: list[str] = []
        self.workers = [0, 1]
        self.reloads = Reloads(OLD, read, self._order, self.printed.append)

    def _order(self) -> list[int]:
        self.told += 1
        return self.workers


def test_told_once_when_all_have_done_it() -> None:
    """One line says what changed and what waits, when the last worker has done it."""
    stage = Stage(lambda: NEW)
    stage.reloads.begin()
    stage.reloads.heard(0, "reloaded: gate.allowed_origins")
    assert stage.printed == []
    stage.reloads.heard(1, "reloaded: gate.allowed_origins")
    assert stage.printed == ["reloaded: gate.allowed_origins; needs a restart: server.port"]
    assert stage.reloads.settings.gate == NEW.gate
    assert stage.reloads.settings.server == OLD.server


def test_worker_that_dies_meanwhile() -> None:
    """A worker that is gone is not waited for; the next one reads the settings anyway."""
    stage = Stage(lambda: NEW)
    stage.reloads.begin()
    stage.reloads.heard(0, "")
    stage.reloads.heard(1, "reloaded: gate.allowed_origins")
    assert len(stage.printed) == 1
    stage.reloads.heard(1, "")
    assert len(stage.printed) == 1


def test_worker_that_refuses() -> None:
    """A worker that cannot take what the parent could says so by itself."""
    stage = Stage(lambda: NEW)
    stage.reloads.begin()
    stage.reloads.heard(0, "reload refused: there is no file")
    stage.reloads.heard(1, "reloaded: nothing changed")
    assert stage.printed[0] == "worker 0: reload refused: there is no file"


def test_bad_settings_reach_nobody() -> None:
    """Settings that cannot be read, or not be served, change nothing anywhere."""

    def broken() -> Settings:
        raise SettingsError("not valid TOML")

    stage = Stage(broken)
    stage.reloads.begin()
    assert stage.printed == ["reload refused: not valid TOML"]
    assert stage.told == 0
    no_file = replace(OLD, server=ServerSettings(tls=TlsSettings(cert="/nowhere", key="/nowhere")))
    stage = Stage(lambda: no_file)
    stage.reloads.begin()
    assert stage.told == 1  # the certificate is no matter of a reload: the old one stays


def test_nobody_is_there() -> None:
    """Between two lives of the only worker, what changed is told at once."""
    stage = Stage(lambda: NEW)
    stage.workers = []
    stage.reloads.begin()
    assert len(stage.printed) == 1
