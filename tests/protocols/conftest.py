"""What the tests of protocols share."""

from tests.admin.conftest import service

__all__ = ["service"]
