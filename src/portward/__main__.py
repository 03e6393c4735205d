"""`python -m portward` is `portward`."""

import sys

from portward.cli.main import main

sys.exit(main())
