"""All methods of the admin API, collected from the modules that define them."""

from typing import Any, Final

from portward.admin import (
    alerts,
    approvals,
    batch,
    channel_methods,
    node_methods,
    rooms,
    security_events,
    user_methods,
)
from portward.node.admin_method import AdminMethod
from portward.node.cluster import SurveyQuestion

_MODULES: Final = (
    channel_methods,
    alerts,
    approvals,
    node_methods,
    security_events,
    user_methods,
    rooms,
    batch,
)

_FOUND: Final = [each for module in _MODULES for each in vars(module).values()]

METHODS: Final[dict[str, AdminMethod]] = {
    each.name: each for each in _FOUND if isinstance(each, AdminMethod)
}
"""Every method by name. A publish is not an `act`: it would fill the audit."""

QUESTIONS: Final[dict[str, SurveyQuestion[Any, Any]]] = {
    each.name: each for each in _FOUND if isinstance(each, SurveyQuestion)
}
"""Every question to all nodes by name. Every node answers them, also one without an admin listener."""
