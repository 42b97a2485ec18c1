"""Two circuits proved equal for every input, by ABC's combinational equivalence check.

Registers are taken away first, each replaced by a wire: that is right for a pipeline without
feedback, whose result is a function of one input word however many cycles later it comes.  That all
its paths are equally long is shown by a simulation with another word in every cycle.
"""

import tempfile
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Elaboratable

from ernn.flow import tools
from ernn.flow.process import ToolError, run
from ernn.flow.yosys import run_yosys

PROOF_SECONDS = 300
_LOG = "abc.log"
_WIRES = """(* techmap_celltype = "$dff" *)
module wire_for_register(CLK, D, Q);
  parameter WIDTH = 1;
  parameter CLK_POLARITY = 1;
  input CLK;
  input [WIDTH-1:0] D;
  output [WIDTH-1:0] Q;
  assign Q = D;
endmodule
"""


def proved_equal(
    left: Elaboratable, right: Elaboratable, *, timeout: float = PROOF_SECONDS
) -> bool:
    """Whether two circuits with the same ports, without feedback, compute the same function.

    True is a proof over all inputs, False comes with an input for which they differ.  ToolError if
    ABC finds neither within `timeout` seconds, as for products with constants of many bits.
    """
    with tempfile.TemporaryDirectory(prefix="ernn-formal-") as folder:
        directory = Path(folder)
        (directory / "wires.v").write_text(_WIRES)
        for name, circuit in (("left", left), ("right", right)):
            _to_aiger(circuit, name, directory, timeout)
        log = directory / _LOG
        command = [*tools.abc().command, "-c", f"cec -T {timeout:.0f} left.aig right.aig"]
        run(command, directory, log, what="ABC: equivalence", timeout=timeout + 60)
        said = log.read_text()
        if "Networks are equivalent" in said:
            return True
        if "Networks are NOT EQUIVALENT" in said:
            return False
        raise ToolError("ABC: equivalence is undecided", log)


def _to_aiger(circuit: Elaboratable, name: str, directory: Path, timeout: float) -> None:
    (directory / f"{name}.il").write_text(rtlil.convert(circuit, name="top", emit_src=False))
    # opt_expr: of a product with a constant little is left, and nothing else becomes gates.
    script = [
        f"read_rtlil {name}.il",
        "proc",
        "flatten",
        "setattr -unset init w:*",
        "techmap -map wires.v",
        "delete -port top/i:clk top/i:rst",
        "opt_expr",
        "opt_clean",
        "techmap",
        "opt_expr",
        "opt_clean",
        "aigmap",
        "opt_clean",
        f"write_aiger -symbols {name}.aig",
    ]
    run_yosys(script, directory, what=f"Yosys: {name} circuit to gates", timeout=timeout)
