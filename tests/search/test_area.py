"""Predicted area: the mapping rules held to Yosys, and the fit held to engines it has not seen."""

import json
from pathlib import Path
from random import Random
from types import ModuleType

import numpy as np
import pytest

from ernn.estimate.area import FITTED, Fitted, Point, explained, fit, left_out, predict, shipped
from ernn.estimate.device import Family, find_device
from ernn.estimate.logic import Logic
from ernn.estimate.memories import Memory, mapped
from ernn.estimate.multipliers import Multiplier
from ernn.estimate.units import Units, dsp
from ernn.flow.synthesise import synthesise
from ernn.flow.verilog import to_verilog
from ernn.flow.yosys import run_yosys
from ernn.quantization.quantize import QuantizeSpec
from ernn.rtl.engine import Engine
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import schedule
from ernn.scheduling.weight_banks import DEPTH, WIDE, in_memories
from tests.models import random_integer_model
from tests.scripts import loaded

# Errors allowed: of one configuration left out, and of all on average
WORST: dict[Family, float] = {"ecp5": 0.19, "xc7": 0.25}
MEAN: dict[Family, float] = {"ecp5": 0.06, "xc7": 0.07}


# --- memories, by Yosys's own mapping pass

LIBRARIES: dict[Family, str] = {
    "ecp5": "-lib +/lattice/lutrams_trellis.txt -lib +/lattice/brams_16kd.txt",
    "xc7": "-lib +/xilinx/lutrams_xc5v.txt -lib +/xilinx/brams_xc4v.txt -D HAS_SIZE_36 "
    "-D HAS_CASCADE -D HAS_CONFLICT_BUG -D HAS_MIXWIDTH_SDP -logic-cost-rom 0.015625",
    "xcup": "-lib +/xilinx/lutrams_xcu.txt -lib +/xilinx/brams_xc4v.txt -D HAS_SIZE_36 "
    "-D HAS_MIXWIDTH_SDP -logic-cost-rom 0.015625",
}
MAPS: dict[Family, str] = {
    "ecp5": "techmap -map +/lattice/lutrams_map_trellis.v -map +/lattice/brams_map_16kd.v",
    "xc7": "techmap -map +/xilinx/lutrams_xc5v_map.v -map +/xilinx/brams_xc6v_map.v",
    "xcup": "techmap -map +/xilinx/lutrams_xc5v_map.v -map +/xilinx/brams_xcu_map.v",
}
KBIT = {"DP16KD": 18, "RAMB18E1": 18, "RAMB36E1": 36, "RAMB18E2": 18, "RAMB36E2": 36}
LUTS = {"TRELLIS_DPR16X4": 6, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8}

MEMORIES = [
    *(
        Memory("rom", width, depth, False)
        for width, depth in ((12, 150), (12, 1120), (96, 31), (96, 300), (20, 2048))
    ),
    *(Memory("bank", 12, depth, False, block=True) for depth in (3, 150)),
    *(
        Memory("ram", width, depth, True)
        for width, depth in ((16, 32), (20, 129), (128, 16), (256, 640), (140, 33))
    ),
    *(
        Memory("parts", 16 * lanes, depth, True, 16)
        for lanes, depth in ((4, 16), (8, 33), (8, 640), (16, 300))
    ),
]


def _verilog(number: int, memory: Memory) -> str:
    bits = max(1, (memory.depth - 1).bit_length())
    part = memory.part or memory.width
    ports = f"input clk, input [{bits - 1}:0] ra, output reg [{memory.width - 1}:0] q"
    body = [
        '(* ram_style = "block" *)' if memory.block else "",
        f"reg [{memory.width - 1}:0] mem [0:{memory.depth - 1}];",
        "always @(posedge clk) q <= mem[ra];",
    ]
    if memory.written:
        lanes = memory.width // part
        ports += (
            f", input [{lanes - 1}:0] we, input [{bits - 1}:0] wa, input [{memory.width - 1}:0] d"
        )
        body += [
            f"always @(posedge clk) if (we[{i}]) mem[wa][{i * part} +: {part}] <= d[{i * part} +: "
            f"{part}];"
            for i in range(lanes)
        ]
    else:
        body.append(f'initial $readmemb("rom{number}.mem", mem);')
    return f"module m{number}({ports});\n" + "\n".join(body) + "\nendmodule\n"


@pytest.mark.parametrize("family", ["ecp5", "xc7", "xcup"])
def test_memories_are_mapped_as_yosys_maps_them(family: Family, tmp_path: Path) -> None:
    """Small and large, read only, written whole and in parts: the same blocks, the
    same LUT RAM, the same in logic.
    """
    random = Random(0)
    for number, memory in enumerate(MEMORIES):
        if not memory.written:
            rows = [
                f"{random.getrandbits(memory.width):0{memory.width}b}" for _ in range(memory.depth)
            ]
            (tmp_path / f"rom{number}.mem").write_text("\n".join(rows) + "\n")
    (tmp_path / "m.v").write_text(
        "".join(_verilog(number, memory) for number, memory in enumerate(MEMORIES))
    )
    # As in the flow.
    collect = "memory -nomap -no-rw-check" if family == "ecp5" else "memory -nomap"
    commands = ["read_verilog m.v", "proc", "opt", collect, "opt_clean"]
    commands += [
        f"memory_libmap {LIBRARIES[family]}",
        MAPS[family],
        "tee -q -o stat.json stat -json",
    ]
    run_yosys(commands, tmp_path, what="Yosys: memories", timeout=900)
    modules = json.loads((tmp_path / "stat.json").read_text())["modules"]
    for number, memory in enumerate(MEMORIES):
        cells = modules[f"\\m{number}"]["num_cells_by_type"]
        found = mapped(memory, family)
        assert sum(KBIT.get(kind, 0) * count for kind, count in cells.items()) == found.kbit, memory
        assert sum(LUTS.get(kind, 0) * count for kind, count in cells.items()) == found.lutram, (
            memory
        )


@pytest.mark.parametrize("family", ["ecp5", "xc7", "xcup"])
def test_nothing_is_chosen_between_a_weight_bank_and_its_register(family: Family) -> None:
    """Every memory of a wide bank, or of narrow ones that fill block RAMs together, is one row of
    block RAMs, whose own output registers then stand before what selects among memories, for at
    most an eighth more block RAM."""
    for bits in (33, 36, 54, WIDE, 96, 192, 256, 257):
        for words in range(1, 2 * DEPTH, 37):
            depths = in_memories(words, bits)
            cut = [mapped(Memory("bank", bits, depth, False), family) for depth in depths]
            assert not any(one.selected_bits for one in cut), (words, bits)
            whole = mapped(Memory("bank", bits, sum(depths), False), family)
            assert sum(one.kbit for one in cut) <= 9 / 8 * whole.kbit, (words, bits)


# --- multipliers: bits of both operands, and the blocks that Yosys 0.70 took

MULTIPLIERS: dict[Family, list[tuple[int, int, int]]] = {
    "ecp5": [
        *[
            (16, 12, 1),
            (17, 12, 1),
            (18, 18, 1),
            (19, 12, 1),
            (25, 18, 2),
            (26, 13, 2),
            (20, 20, 4),
            (16, 9, 1),
        ],
        *[
            (9, 2, 1),
            (4, 4, 1),
            (5, 3, 1),
            (2, 8, 1),
            (1, 8, 0),
            (24, 24, 4),
            (27, 18, 2),
            (19, 19, 1),
            (36, 13, 2),
        ],
    ],
    "xc7": [
        *[
            (16, 12, 1),
            (19, 12, 1),
            (18, 18, 1),
            (25, 18, 1),
            (26, 13, 2),
            (20, 20, 2),
            (16, 9, 1),
            (9, 2, 1),
        ],
        *[
            (4, 4, 0),
            (5, 3, 0),
            (3, 8, 1),
            (2, 8, 1),
            (1, 8, 0),
            (24, 24, 2),
            (27, 18, 2),
            (19, 19, 2),
            (36, 13, 2),
        ],
    ],
}


@pytest.mark.parametrize("family", ["ecp5", "xc7"])
def test_multipliers_take_as_many_blocks_as_yosys_took(family: Family) -> None:
    taken = [(a, b, Multiplier(a, b).blocks(family)) for a, b, _ in MULTIPLIERS[family]]
    assert taken == MULTIPLIERS[family]


# --- the measured engines


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return loaded("benchmarks/cost_points.py")


def test_multipliers_and_block_ram_of_every_measured_engine_are_exact(script: ModuleType) -> None:
    """And the bits that the fit rests on are those counted today."""
    for point in shipped().points:
        plan = script.scheduled(script.Net(**point.network), Design(**point.design))
        use = predict(plan, point.family)
        assert (use.dsp, use.block_ram) == (point.dsp, point.block_ram), point
        memories = Units(plan).mapped(point.family)
        assert sum(memory.count * used.lutram for memory, used in memories) == point.lutram, point
        assert script.counted(plan, point.family) == {
            "adders": point.adders,
            "registers": point.registers,
        }


@pytest.mark.parametrize("family", ["ecp5", "xc7"])
@pytest.mark.parametrize("what", FITTED)
def test_logic_of_an_engine_left_out_is_predicted(family: Family, what: Fitted) -> None:
    """Cross-validation: each configuration from all the others."""
    errors = [abs(error) for error in left_out(shipped().of(family), what)]
    assert len(errors) >= 4 and max(errors) <= WORST[family]
    assert sum(errors) / len(errors) <= MEAN[family]


def test_an_engine_synthesised_now_is_predicted() -> None:
    """Whether the points are still of today's RTL: an engine that is not among them, by the tool
    itself.  Its recurrent matrices have 6 bits of 12, so that a bank is a block RAM smaller.
    """
    spec = QuantizeSpec(12, 10, weights={"l0.gates.h": 6, "l0.candidate.h": 6})
    network = dict(cell="gru", input_size=24, hidden=48, block=2)
    plan = schedule(random_integer_model(np.random.default_rng(0), spec, **network), Design(1))
    assert [one.words for one in plan.layout.slices[1]] == [2592, 864]
    area = synthesise(to_verilog(Engine(plan, probes=True)), find_device("LFE5U-25F"))
    use = predict(plan, "ecp5")
    assert (use.dsp, use.block_ram) == (area.dsp, area.bram_kbit)
    assert use.lut == pytest.approx(area.lut, rel=WORST["ecp5"]) and use.ff == pytest.approx(
        area.ff, rel=WORST["ecp5"]
    )


def test_a_fit_recovers_what_bits_take(script: ModuleType) -> None:
    """Points made from known figures give these figures' predictions back;
    without points a bit takes one.
    """
    plans = [script.scheduled(net, design) for net, design in script.ENGINES[:6]]
    features = [Logic(Units(plan), "ecp5").adders() for plan in plans]
    truth = {name: 0.5 + 0.1 * number for number, name in enumerate(sorted(features[0]))}
    points = [
        Point("ecp5", {"n": n}, {}, one, {}, 0, round(explained(truth, one)), 0, 0, 0)
        for n, one in enumerate(features)
    ]
    for point in points:
        assert explained(fit(points, "lut"), point.adders) == pytest.approx(point.lut, rel=0.05)
    assert explained({}, {"a": 3, "b": 4}) == 7


def test_multipliers_of_a_layout_are_those_of_its_schedule(script: ModuleType) -> None:
    for net, design in script.ENGINES[:4]:
        plan = script.scheduled(net, design)
        assert dsp(plan.layout, "ecp5") == plan.multipliers
