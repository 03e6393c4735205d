from portward.model.identity import Identity
from portward.model.revocation import Revocation, RevocationKind
from tests.node.stores.conftest import SlowStores

ANN = Identity(subject="ann", issued_at=50.0)


async def test_revocation_whose_caller_was_cancelled(slow: SlowStores) -> None:
    """It is in force, and a pull finds it: the file has it all the same."""
    revocations = slow.stores.revocations
    made = Revocation(RevocationKind.SUBJECT, "ann", at=100.0, until=4e9)

    async def asked() -> None:
        assert await revocations.is_revoked(ANN, None)

    await slow.cancelled(revocations.add(made), asked)
    assert await revocations.is_revoked(ANN, None)
    assert await revocations.since(0.0) == (made,)
