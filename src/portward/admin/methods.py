"""All methods of the admin API, collected from the modules that define them."""

from collections.abc import Iterable, Iterator
from typing import Any

import portward.admin.batch as batch
import portward.admin.channel_methods as channel_methods
import portward.admin.node_methods as node_methods
import portward.admin.rooms as rooms
import portward.admin.security_events as security_events
import portward.admin.user_methods as user_methods
from portward.node.admin_method import AdminMethod
from portward.node.cluster import SurveyQuestion
from portward.node.protocol_service import ProtocolRegistration


def all_methods(protocols: Iterable[ProtocolRegistration]) -> dict[str, AdminMethod]:
    """Return every method by name: those of the core and of these protocols.

    A publish is not an `act`: it would fill the audit.
    """
    return {each.name: each for each in _defined(protocols) if isinstance(each, AdminMethod)}


def all_questions(
    protocols: Iterable[ProtocolRegistration],
) -> dict[str, SurveyQuestion[Any, Any]]:
    """Return every question to all nodes by name.

    Every node answers them, also one without an admin listener.
    """
    return {each.name: each for each in _defined(protocols) if isinstance(each, SurveyQuestion)}


def _defined(protocols: Iterable[ProtocolRegistration]) -> Iterator[object]:
    own = (module for protocol in protocols for module in protocol.admin_methods)
    core = (node_methods, security_events, user_methods, rooms, batch)
    for module in (channel_methods, *own, *core):
        yield from vars(module).values()
