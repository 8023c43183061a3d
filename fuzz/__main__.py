"""``python -m fuzz --seconds 60``: each target in turn."""

import sys

from fuzz.run import main

sys.exit(main())
