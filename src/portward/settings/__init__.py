"""The typed tree of settings, the sources of its values, and the rules that check them.

Environment, flags and file reader are passed in. The structs of the tree's tables are in
:mod:`~portward.settings.sections`, :mod:`~portward.settings.endpoint` and
:mod:`~portward.settings.limits`.
"""

from portward.settings.checks import (
    CheckLevel,
    Finding,
    Machine,
    StoreFacts,
    checklist,
    startup_errors,
)
from portward.settings.describe import SettingRow, rows
from portward.settings.errors import SettingsError
from portward.settings.reference import reference
from portward.settings.reload import Changes, changes, reloaded
from portward.settings.resolve import ResolvedSettings, resolve
from portward.settings.secret import Secret
from portward.settings.sources import Loaded, load, secret_files
from portward.settings.tree import Settings

__all__ = [
    "Changes",
    "CheckLevel",
    "Finding",
    "Loaded",
    "Machine",
    "ResolvedSettings",
    "Secret",
    "SettingRow",
    "Settings",
    "SettingsError",
    "StoreFacts",
    "changes",
    "checklist",
    "load",
    "reference",
    "reloaded",
    "resolve",
    "rows",
    "secret_files",
    "startup_errors",
]
