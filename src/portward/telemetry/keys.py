"""The keys of telemetry. The key of an audit file is generated once and stored in a file beside it.

It gives no protection against a person who can read both files.
"""

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path
from typing import Final

_SIZE: Final = 32
_PRIVATE: Final = 0o600
_OTHERS: Final = 0o077


class AuditError(Exception):
    """The audit file, its key or its checkpoint cannot be used; the text names it and the reason."""


def derive(secret: str | bytes, purpose: str) -> bytes:
    """Derive a key of 32 bytes for one purpose; keys for other purposes reveal nothing about it."""
    raw = secret.encode() if isinstance(secret, str) else secret
    return hmac.digest(raw, b"portward telemetry " + purpose.encode(), hashlib.sha256)


def key_path(audit: Path) -> Path:
    """Return the path of an audit file's key."""
    return audit.with_name(audit.name + ".key")


def audit_key(audit: Path, *, create: bool = False) -> bytes:
    """Return the key of an audit file, from the key file beside it.

    With `create`, a missing key file is created; only its owner can read it.

    Raises:
        AuditError: the key file is missing, malformed, readable by others, or cannot be made.
    """
    path = key_path(audit)
    try:
        if create and not path.exists():
            _make(path)
        return derive(_read(path), "audit")
    except OSError as error:
        raise AuditError(f"{path}: {error.strerror}") from error


def _make(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor
        file.write(secrets.token_hex(_SIZE) + "\n")


def _read(path: Path) -> bytes:
    if stat.S_IMODE(path.stat().st_mode) & _OTHERS:
        raise AuditError(f"{path}: others may read it; make it mode 0600")
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:
        key = b""
    if len(key) != _SIZE:
        raise AuditError(f"{path}: not a key")
    return key
