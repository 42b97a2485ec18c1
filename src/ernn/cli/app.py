"""The program: its commands in the order of the path, and what an error looks like."""

import os
import sys
from collections.abc import Sequence

import typer

from ernn.cli import hardware, look, network, search, whole
from ernn.errors import UserError

WRONG_INPUT = 2

HELP = """
Recurrent networks (LSTM, GRU) to small, fast, proven FPGA accelerators.

The path, one command after another over one run directory:

[bold]train[/] → [bold]compress[/] → [bold]quantize[/] → [bold]evaluate[/] → [bold]design[/] → [bold]build[/] →
[bold]verify[/] → [bold]synth[/] → [bold]place[/] → [bold]report[/]

[bold]ernn demo[/] walks all of it on real speech. Every command has --help and --json.
"""

app = typer.Typer(
    name="ernn",
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for module in (whole, network, hardware, search, look):
    module.register(app)


def run(arguments: Sequence[str]) -> int:
    """Run a command; its exit status. A user's mistake is one line on standard error; ERNN_TRACEBACK=1 shows all."""
    try:
        app(args=list(arguments), prog_name="ernn")
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 0
    except (UserError, PermissionError) as error:
        if os.environ.get("ERNN_TRACEBACK"):
            raise
        print(f"ernn: {error}", file=sys.stderr)
        return WRONG_INPUT
    return 0
