"""The command line `ernn`: one thin function per command over `ernn.pipeline`."""

import signal
import sys
from types import FrameType


def main() -> None:
    """Run a command and exit: 0 done, 1 found wrong (proof failed, tool
    missing), 2 wrong input, 130 for Ctrl-C.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    from ernn.cli.app import run

    sys.exit(run(sys.argv[1:]))


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM is Ctrl-C: what was finished is kept, and tools that were started are ended."""
    raise KeyboardInterrupt
