"""SIGHUP with several workers: the settings are checked once, and one result is printed."""

from collections.abc import Callable

from portward.app.judging import refuse_start, refuse_unsafe
from portward.app.server import Announce, told
from portward.settings import Settings, SettingsError, changes, reloaded

REFUSED = "reload refused: "


class Reloads:
    """Makes the workers reload the settings. `order` sends the order; returns the numbers of the workers."""

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Settings],
        order: Callable[[], list[int]],
        announce: Announce,
    ) -> None:
        self.settings = settings
        self._read = read
        self._order = order
        self._announce = announce
        self._waiting: set[int] = set()
        self._text = ""

    def begin(self) -> None:
        """Check the settings; if they are valid, order the workers to reload."""
        try:
            fresh = self._read()
            refuse_unsafe(fresh)
            changed = changes(self.settings, fresh)
            merged = reloaded(self.settings, fresh)
            refuse_start(merged)
        except (SettingsError, ValueError) as error:
            self._announce(f"{REFUSED}{error}")
            return
        self.settings = merged
        self._text = told(changed)
        self._waiting = set(self._order())
        self._conclude()

    def heard(self, number: int, text: str) -> None:
        """Record a worker's answer; an empty text means that the worker has ended."""
        if text.startswith(REFUSED):
            self._announce(f"worker {number}: {text}")
        if number in self._waiting:
            self._waiting.remove(number)
            self._conclude()

    def _conclude(self) -> None:
        if not self._waiting:
            self._announce(self._text)
