"""The program: its commands in the order of the path, and what an error looks like."""

import errno
import os
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from ernn.cli import console, hardware, look, network, own, search, study, whole
from ernn.errors import UserError, naming_extras

WRONG_INPUT = 2
FULL = "make room on that disk; what was finished is kept, the same command goes on from there"
ADVICE = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EROFS: "that disk cannot be written to: name another folder",
    errno.EACCES: "change its permissions, or name another folder",
    errno.EPERM: "change its permissions, or name another folder",
    errno.EMFILE: "too many files are open: raise the limit (`ulimit -n 4096`)",
}

HELP = """
Recurrent networks (LSTM, GRU) to small, fast, proven FPGA accelerators.

The path, one command after another over one run directory:

[bold]train[/] → [bold]compress[/] → [bold]quantize[/] → [bold]evaluate[/] → [bold]design[/] →
[bold]build[/] → [bold]verify[/] → [bold]synth[/] → [bold]place[/] → [bold]report[/]

[bold]ernn demo[/] walks all of it on real speech. Every command has --help and --json.
"""


def _version(asked: bool) -> None:
    if asked:
        print(f"ernn {version('ernn')}")
        raise typer.Exit()


app = typer.Typer(
    name="ernn",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(help=HELP)
def options(
    shown: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Options of the program itself."""


for module in (whole, network, hardware, own, search, study, look):
    module.register(app)


def run(arguments: Sequence[str]) -> int:
    """Run a command; its exit status. A user's mistake is one line on standard
    error; ERNN_TRACEBACK=1 shows all.
    """
    try:
        with naming_extras(), console.warnings_in_lines():
            app(args=list(arguments), prog_name="ernn")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    except (UserError, OSError, MemoryError) as error:
        if os.environ.get("ERNN_TRACEBACK"):
            raise
        console.say(f"ernn: {_said(error)}")
        return WRONG_INPUT
    return 0


def _said(error: UserError | OSError | MemoryError) -> str:
    """The error in one line; of what the system refused, the file and what to do about it."""
    if isinstance(error, MemoryError):
        return (
            "this machine has not enough memory for it: choose a smaller network or block, or end "
            "other programs"
        )
    if not isinstance(error, OSError):
        return str(error)
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return f"{what}; {ADVICE.get(error.errno or 0, 'check the path')}"
