"""Connections by workspace: the only family whose label values are not known at the start."""

from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric

from portward.security.redaction import clean
from portward.telemetry.labels import OTHER

NAME: Final = "ws_connections_active"
"""The name has no prefix: dashboards of older workspace gateways use this name."""
NAMED: Final = 1000
"""The most workspaces with a separate series; connections of other workspaces are counted together."""
LONGEST: Final = 64
"""The most characters of a workspace's name in a label."""


class WorkspacesGauge:
    """Counts connections by workspace; a workspace without connections has no series.

    It changes only on the event loop; `collect` may be called from another thread.
    """

    def __init__(self) -> None:
        self._where: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        """Return the number of workspaces with connections."""
        return len(self._counts)

    def enter(self, client: str, workspace: str | None) -> None:
        """Count an authenticated connection; one without a workspace is counted under `other`."""
        self.leave(client)
        # A claim may contain any text; a label that cannot be encoded would break the whole scrape.
        name = clean(workspace or OTHER, LONGEST)
        self._where[client] = name
        self._counts[name] = self._counts.get(name, 0) + 1

    def leave(self, client: str) -> None:
        """Remove a closed connection from the count. Does nothing when it was never counted."""
        name = self._where.pop(client, None)
        if name is None:
            return
        self._counts[name] -= 1
        if not self._counts[name]:
            del self._counts[name]

    def collect(self) -> Metric:
        """Return the current samples: the first `NAMED` workspaces by name, the rest under `other`."""
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
