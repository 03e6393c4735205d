"""Commands of clients, dispatched to handlers, and those of the backend."""

from portward.node.commands.dispatcher import Dispatcher
from portward.node.commands.handler import Handler, Handlers
from portward.node.commands.handlers import AuthenticationHandlers, ChannelHandlers
from portward.node.commands.server_api import ServerApi, SurveyedNode
from portward.node.commands.subscription_handlers import SubscriptionHandlers

__all__ = [
    "AuthenticationHandlers",
    "ChannelHandlers",
    "Dispatcher",
    "Handler",
    "Handlers",
    "ServerApi",
    "SubscriptionHandlers",
    "SurveyedNode",
]
