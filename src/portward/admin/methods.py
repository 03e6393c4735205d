"""All methods of the admin API, collected from the modules that define them."""

from typing import Final

from portward.admin import (
    alerts,
    approvals,
    batch,
    channel_methods,
    node_methods,
    rooms,
    user_methods,
)
from portward.node.admin_method import AdminMethod

_MODULES: Final = (
    channel_methods,
    alerts,
    approvals,
    node_methods,
    user_methods,
    rooms,
    batch,
)

METHODS: Final[dict[str, AdminMethod]] = {
    each.name: each
    for module in _MODULES
    for each in vars(module).values()
    if isinstance(each, AdminMethod)
}
"""Every method by name. A publish is not an `act`: it would fill the audit."""
