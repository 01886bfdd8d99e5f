"""``python -m tests.bench``: measure, print every figure beside its goal, keep all as JSON."""

import sys

from tests.bench.run import main

if __name__ == "__main__":
    sys.exit(main())
