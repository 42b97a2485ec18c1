"""Generated Verilog, checked by Verilator's lint."""

import tempfile
from collections.abc import Collection
from pathlib import Path

from ernn.flow import tools
from ernn.flow.process import run
from ernn.flow.verilog import Verilog

LINT_SECONDS = 600
# Waived, each with its reason; everything else that -Wall knows is reported.
WAIVED = {
    "DECLFILENAME": "all modules share one file",
    "UNUSEDSIGNAL": "generated names for parts of words that nobody reads",
    "PROCASSINIT": "initial values are how a register states its value after configuration",
    "WIDTHEXPAND": "operands of exact width, extended by the rules the generator counts on",
    "WIDTHTRUNC": "a word picked from an array is a shift whose low bits are taken; "
    "other cuts are written as slices",
    "CASEINCOMPLETE": "every value has a default before the case; without one it would be a LATCH",
    "CMPCONST": "a comparison that one shape of network makes always true stays in the text",
}


def lint(verilog: Verilog, waived: Collection[str] = tuple(WAIVED)) -> tuple[str, ...]:
    """Warnings of `verilator --lint-only -Wall` that are not waived, one line each.

    Among them latches, loops of logic, several drivers of one wire, wires nobody drives.  ToolError
    where Verilator cannot read the text at all.
    """
    command = [
        *tools.verilator().command,
        "--lint-only",
        "-Wall",
        "-Wno-fatal",
        *(f"-Wno-{name}" for name in waived),
    ]
    with tempfile.TemporaryDirectory(prefix="ernn-lint-") as folder:
        directory = Path(folder)
        source = verilog.write(directory)
        log = directory / "lint.log"
        run(
            [*command, "--top-module", verilog.top, source.name],
            directory,
            log,
            what=f"Verilator: lint of {verilog.top}",
            timeout=LINT_SECONDS,
            environment={"VERILATOR_ROOT": str(tools.verilator_root())},
        )
        return tuple(line for line in log.read_text().splitlines() if line.startswith("%Warning"))
