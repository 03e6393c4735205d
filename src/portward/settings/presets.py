"""The predefined endpoints and namespaces, with the defaults of their keys.

The settings know a protocol when :data:`PRESETS` lists it.
"""

from typing import Final

from msgspec.structs import replace

from portward.model.namespace import Namespace
from portward.settings.endpoint import EndpointSettings
from portward.settings.protocols import PRESETS, ProtocolPreset

ENDPOINTS: Final = {each.name: each.endpoint for each in PRESETS}
_UNKNOWN_WHEN_OFF: Final = frozenset(each.name for each in PRESETS if each.unknown_when_off)
PROTOCOLS: Final[dict[str, ProtocolPreset]] = {each.endpoint.dialect: each for each in PRESETS}
"""The presets by protocol."""
DIALECTS: Final = tuple(sorted(PROTOCOLS))
NAMESPACES: Final = {
    each.namespace.name: each.namespace for each in PRESETS if each.namespace is not None
}

RELOADED_KEYS: Final = frozenset({"publish", "authorize", "authorize_url"})
"""The keys of a namespace that a reload applies; `Namespace` is a struct of the model, without metadata."""


def base_endpoint(name: str, dialect: str | None) -> EndpointSettings:
    """Return the endpoint whose values are the defaults for the keys written for `name`.

    Another name, or another protocol under a known name, starts from the endpoint with that protocol,
    switched on, at `/name`. An unknown protocol is kept, for the caller to refuse.
    """
    default = ENDPOINTS.get(name)
    if default is not None and dialect in {None, default.dialect}:
        return default
    for endpoint in ENDPOINTS.values():
        if endpoint.dialect == dialect:
            return replace(endpoint, enabled=True, path=f"/{name}")
    return EndpointSettings(path=f"/{name}", dialect=dialect or "")


def unknown_when_off(name: str, endpoint: EndpointSettings) -> bool:
    """Return whether a switched-off endpoint answers 404, as an unknown path does, and not 503.

    503 means "not now", which clients of the servers that the presets replace expect. An endpoint that was
    added in the settings has no such clients, and neither has echo.
    """
    preset = ENDPOINTS.get(name)
    added = preset is None or preset.dialect != endpoint.dialect
    return added or name in _UNKNOWN_WHEN_OFF


def base_namespace(name: str) -> Namespace:
    """Return the namespace whose values are the defaults for the keys written for `name`."""
    return NAMESPACES.get(name) or Namespace(name=name)
