"""The command line `ernn`: one thin function per command over `ernn.pipeline`."""

import sys


def main() -> None:
    """Run a command and exit: 0 done, 1 found wrong (proof failed, tool missing), 2 wrong input, 130 Ctrl-C."""
    from ernn.cli.app import run

    sys.exit(run(sys.argv[1:]))
