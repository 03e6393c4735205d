"""Channels: subscriptions, publishing, history, recovery and the repair of gaps."""

from portward.node.channels.batch_subscribe import BatchSubscriptions, wanted
from portward.node.channels.gap_repair import GapRepair
from portward.node.channels.multi_subscribe import MultiSubscribe
from portward.node.channels.presence_order import PresenceOrder
from portward.node.channels.publishing import Publishing
from portward.node.channels.recovering import Recovering
from portward.node.channels.retention import kept_until, stated_end
from portward.node.channels.subscribe_cost import SubscribeCost
from portward.node.channels.subscriptions import Subscriptions, participants

__all__ = [
    "BatchSubscriptions",
    "GapRepair",
    "MultiSubscribe",
    "PresenceOrder",
    "Publishing",
    "Recovering",
    "SubscribeCost",
    "Subscriptions",
    "kept_until",
    "participants",
    "stated_end",
    "wanted",
]
