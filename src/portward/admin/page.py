"""The page at `/`, with links to the other paths. Static, no script, no external resources."""

import base64
import hashlib
from typing import Final

_STYLE: Final = """
body { max-width: 40rem; margin: 3rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif;
  color: #1b1f24; background: #fff; }
h1 { font-size: 1.5rem; }
dt { font-family: ui-monospace, monospace; margin-top: .75rem; }
dd { margin: 0; }
@media (prefers-color-scheme: dark) { body { color: #e6e8eb; background: #15181c; }
  a { color: #8ab4ff; } }
"""

PAGE: Final = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Portward admin</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Portward admin</h1>
<p>This listener is for operators and backends. Clients connect to the public one.</p>
<dl>
<dt><a href="/health">/health</a></dt>
<dd>200 while the node takes connections, 503 while it drains.</dd>
<dt><a href="/ready">/ready</a></dt>
<dd>200 while the node can do its work: not draining, and its engine answers.</dd>
<dt><a href="/metrics">/metrics</a></dt>
<dd>Numbers for Prometheus.</dd>
<dt><a href="/openapi.json">/openapi.json</a></dt>
<dd>The API, described in OpenAPI 3.1.</dd>
<dt>POST /api/&lt;method&gt;</dt>
<dd>The API itself. It needs a key in <code>X-API-Key</code>.</dd>
</dl>
</body>
</html>
""".encode()

_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
"""The content security policy of the page; it allows only the page's style."""
