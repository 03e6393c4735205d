"""Commands of clients: dispatch and handlers."""

from portward.node.commands.dispatcher import Dispatcher
from portward.node.commands.handlers import CommandHandlers

__all__ = ["CommandHandlers", "Dispatcher"]
