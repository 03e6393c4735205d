"""Rights: authentication, authorization and room records."""

from portward.node.rights.authentication import RELEASED_TTL, Authentication, digest
from portward.node.rights.authorization import Authorizer
from portward.node.rights.credential_judge import CredentialJudge, OverloadedError
from portward.node.rights.records import RoomRecords, same_life

__all__ = [
    "RELEASED_TTL",
    "Authentication",
    "Authorizer",
    "CredentialJudge",
    "OverloadedError",
    "RoomRecords",
    "digest",
    "same_life",
]
