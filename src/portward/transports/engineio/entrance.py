"""A session that began by polling, as its further requests find it."""

from typing import NamedTuple

from portward.node.link import Admission
from portward.transports.engineio.link import EngineLink
from portward.transports.engineio.polling import Polling


class Entrance(NamedTuple):
    """How a session came in, and what it is now."""

    link: EngineLink
    polling: Polling
    admission: Admission
