"""Prints what the Autobahn client is to do: `cases.py REPORTS URL CASES`.

CASES is `plain`, `deflate`, or patterns of case numbers with spaces between them.
"""

import json
import sys
from typing import Final

FRAMING: Final = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")
# 9.3 and 9.4 send 4 MiB in fragments. Their first four cases need 1,024 and more of these, which is
# beyond what the gateway takes for one message.
LARGE: Final = (
    *("9.1.*", "9.2.*"),
    *(f"9.{kind}.{case}" for kind in (3, 4) for case in range(5, 10)),
    *("9.5.*", "9.6.*", "9.7.*", "9.8.*"),
)
DEFLATE: Final = ("12.*", "13.*")
SETS: Final = {"plain": FRAMING + LARGE, "deflate": FRAMING + DEFLATE}


def main() -> None:
    """Writes the specification."""
    reports, url, cases = sys.argv[1:]
    specification = {
        "outdir": reports,
        "servers": [{"agent": "portward", "url": url}],
        "cases": SETS.get(cases) or cases.split(),
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    print(json.dumps(specification))  # noqa: T201 - the specification is the output


if __name__ == "__main__":
    main()
