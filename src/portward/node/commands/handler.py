"""The type of the handlers of commands."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from portward.model.commands import Command
from portward.model.replies import Reply
from portward.node.sessions import Session

Handler: TypeAlias = Callable[[Session, Any], Awaitable[Reply]]
Handlers: TypeAlias = Mapping[type[Command], Handler]
"""By type of command."""
