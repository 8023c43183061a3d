"""``python -m conformance``."""

import sys

from conformance.run import main

if __name__ == "__main__":  # workers of multiprocessing import this module again
    sys.exit(main())
