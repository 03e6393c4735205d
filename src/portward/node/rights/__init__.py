"""Rights: credentials, authentication, authorization and room records."""

from portward.node.rights.authentication import Authentication
from portward.node.rights.authorization import Authorizer
from portward.node.rights.credentials import CredentialVerifier, digest
from portward.node.rights.identity_binding import IdentityBinding, SessionLifecycle
from portward.node.rights.limited_verification import LimitedVerification, OverloadedError
from portward.node.rights.ports import IdentityProviderPort, RightsQuestion, Verifier
from portward.node.rights.records import RoomRecords, same_life
from portward.node.rights.resumable_sessions import RELEASED_TTL, ResumableSessions

__all__ = [
    "RELEASED_TTL",
    "Authentication",
    "Authorizer",
    "CredentialVerifier",
    "IdentityBinding",
    "IdentityProviderPort",
    "LimitedVerification",
    "OverloadedError",
    "ResumableSessions",
    "RightsQuestion",
    "RoomRecords",
    "SessionLifecycle",
    "Verifier",
    "digest",
    "same_life",
]
