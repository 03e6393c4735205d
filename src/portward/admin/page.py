"""The page at `/`, with links to the other paths. Static, no script, no external resources."""

import base64
import hashlib
from importlib.resources import files
from typing import Final

PAGE: Final = (files(__package__) / "page.html").read_bytes()

_STYLE: Final = PAGE.partition(b"<style>")[2].partition(b"</style>")[0]
_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE).digest()).decode()

POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
"""The content security policy of the page; it allows only the page's style."""
