from portward.model.disconnects import Disconnect
from portward.wire.errors import WireFault


def test_a_fault_names_its_ending_and_its_cause() -> None:
    """A fault carries what the peer is told and what the log is told."""
    fault = WireFault(Disconnect.TOO_BIG, "message over the size limit")

    assert fault.ending is Disconnect.TOO_BIG
    assert fault.cause == str(fault) == "message over the size limit"
