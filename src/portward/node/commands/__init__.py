"""Commands of clients, dispatched to handlers, and those of the backend."""

from portward.node.commands.dispatcher import Dispatcher
from portward.node.commands.handlers import CommandHandlers, Handler
from portward.node.commands.server_api import ServerApi

__all__ = ["CommandHandlers", "Dispatcher", "Handler", "ServerApi"]
