"""Runs a program that ends when the process that asked for it does, with all that it has started.

    python -I -S ends_with.py PROCESS PROGRAM ARGUMENT...

It stands between the two as a process of its own: one with threads cannot prepare a child itself.
Linux tells it of its parent's end, however that came (prctl(2), PR_SET_PDEATHSIG); elsewhere a
program outlives a parent that was killed.  It imports little, so as to be there at once.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def this_process() -> tuple[str, ...]:
    """What to put before a program's command, to be started in a session of its own."""
    return (sys.executable, "-I", "-S", __file__, str(os.getpid()))


def _end(*_: object) -> None:
    os.killpg(0, signal.SIGKILL)


def signalled(number: signal.Signals) -> None:
    """Have this process sent a signal when the one that started it ends; on Linux alone."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def _watch(parent: int) -> None:
    """End this process' group when its parent ends, which may have been just now."""
    signal.signal(signal.SIGTERM, _end)
    signalled(signal.SIGTERM)
    if sys.platform == "linux" and os.getppid() != parent:
        _end()


def _replace(command: list[str]) -> None:
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
    finally:
        os._exit(127)


def main() -> None:
    _watch(int(sys.argv[1]))
    child = os.fork()
    if child == 0:
        _replace(sys.argv[2:])
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)  # so that it ends as the program did
    sys.exit(code)


if __name__ == "__main__":
    main()
