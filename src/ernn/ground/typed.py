"""What the user typed."""

import shlex
import sys
from pathlib import Path


def command_line() -> str:
    """This process's command, as it can be typed again: `python -m ernn` is `ernn`."""
    name = Path(sys.argv[0]).name
    return shlex.join(["ernn" if name == "__main__.py" else name, *sys.argv[1:]])
