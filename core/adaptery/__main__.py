"""`python -m adaptery`: the command line, also where the script `adaptery` is not on PATH."""

import sys

from adaptery.commands import main

if __name__ == "__main__":
    sys.exit(main())
