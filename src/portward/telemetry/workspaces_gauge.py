"""Connections by workspace: the one family whose label values are not known from the start."""

from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric

from portward.security.redaction import clean
from portward.telemetry.labels import OTHER

NAME: Final = "ws_connections_active"
"""Without our prefix: dashboards of older workspace gateways chart it by this name."""
NAMED: Final = 1000
"""Workspaces with a series of their own; the connections of all others are counted together."""
LONGEST: Final = 64
"""Characters of a workspace's name that are shown."""


class WorkspacesGauge:
    """Counts who is where, for as long as somebody is: a workspace without connections has no series.

    Changed on the event loop alone; `collect` may be called from another thread.
    """

    def __init__(self) -> None:
        self._where: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        """Workspaces with connections."""
        return len(self._counts)

    def enter(self, client: str, workspace: str | None) -> None:
        """A connection has proven who it is; one that names no workspace belongs to the others."""
        self.leave(client)
        # A claim of a token may hold anything; one that cannot be written would break the whole scrape.
        name = clean(workspace or OTHER, LONGEST)
        self._where[client] = name
        self._counts[name] = self._counts.get(name, 0) + 1

    def leave(self, client: str) -> None:
        """A connection has ended. Harmless when it was never counted."""
        name = self._where.pop(client, None)
        if name is None:
            return
        self._counts[name] -= 1
        if not self._counts[name]:
            del self._counts[name]

    def collect(self) -> Metric:
        """The samples of now: the first `NAMED` workspaces by name, and what is left under `other`."""
        counts = self._counts.copy()
        other = counts.pop(OTHER, 0)
        names = list(counts)
        family = GaugeMetricFamily(
            NAME, "Connections of a workspace, proven.", labels=["workspace"]
        )
        for name in names[:NAMED]:
            family.add_metric([name], counts[name])
        family.add_metric([OTHER], other + sum(counts[name] for name in names[NAMED:]))
        return family
