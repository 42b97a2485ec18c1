"""Registers packed into ECP5's hard blocks: what moves where, what must not,
and the same behaviour afterwards.
"""

import json
from collections import Counter
from pathlib import Path

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ernn.flow.cache import Cache
from ernn.flow.netlist import Netlist
from ernn.flow.pack import FAN_OUT, pack
from ernn.flow.postsynthesis import as_synthesised
from ernn.flow.sharing import share
from ernn.flow.simulate import build
from ernn.flow.synthesise import NETLIST, synthesis_entry
from ernn.flow.verilog import to_verilog
from ernn.quantization.quantize import QuantizeSpec
from ernn.rtl.engine import Engine
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import schedule
from ernn.verify.prove import to_beats
from ernn.verify.stimulus import Stimulus
from tests.equivalence.cases import random_utterances
from tests.models import random_integer_model

WIDTH, DEPTH = 12, 1024


class Datapath(wiring.Component):
    """A product of two registered operands, registered; a memory read through a
    register; flags that drive many.
    """

    def __init__(self, *, reset: bool = False) -> None:
        self.reset = reset
        super().__init__(
            {"a": In(signed(WIDTH)), "b": In(signed(WIDTH)), "p": Out(2 * WIDTH), "q": Out(18)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a, b = (
            Signal(signed(WIDTH), name=name, reset_less=True) for name in ("a_later", "b_later")
        )
        p = Signal(signed(2 * WIDTH), name="p_later", reset_less=not self.reset)
        words = memory.Memory(shape=18, depth=DEPTH, init=[i * i % (1 << 18) for i in range(DEPTH)])
        m.submodules.words = words
        port, read = words.read_port(), Signal(18, reset_less=True)
        many = [Signal(name=f"many{i}") for i in range(3 * FAN_OUT)]
        flag = Signal()
        m.d.comb += [
            port.addr.eq(Cat(a)[:10]),
            self.q.eq(read),
            self.p.eq(p ^ Value.cast(Cat(many)).xor()),
        ]
        m.d.sync += [
            a.eq(self.a),
            b.eq(self.b),
            p.eq(a * b),
            read.eq(port.data),
            flag.eq(self.a[0]),
        ]
        for one, later in zip([self.b[0], *many], many, strict=False):
            m.d.sync += later.eq(one & flag)
        return m


class Accumulator(wiring.Component):
    """A sum that `clear` begins anew; `fewer` does the same with a
    function of two bits that is no mask.
    """

    def __init__(self) -> None:
        super().__init__(
            {"clear": In(1), "value": In(WIDTH), "total": Out(WIDTH), "fewer": Out(WIDTH)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        value, clear = Signal(WIDTH, reset_less=True), Signal(reset_less=True)
        m.d.sync += [value.eq(self.value), clear.eq(self.clear)]
        m.d.sync += self.total.eq(value + Mux(clear, 0, self.total))
        m.d.sync += self.fewer.eq(value + (self.fewer ^ clear.replicate(WIDTH)))
        return m


class Disabled(wiring.Component):
    """A memory read through a register that `hold` stops."""

    def __init__(self) -> None:
        super().__init__({"address": In(10), "hold": In(1), "q": Out(18)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.words = words = memory.Memory(shape=18, depth=DEPTH, init=list(range(DEPTH)))
        port, hold, read = words.read_port(), Signal(), Signal(18, reset_less=True)
        m.d.comb += [port.addr.eq(self.address), self.q.eq(read)]
        m.d.sync += hold.eq(self.hold)
        with m.If(~hold):
            m.d.sync += read.eq(port.data)
        return m


def netlist_of(design: wiring.Component, cache: Cache) -> Netlist:
    verilog = to_verilog(design, "datapath")
    return Netlist.read(synthesis_entry(verilog, "ecp5", cache) / NETLIST, verilog.top)


def count(netlist: Netlist, kind: str) -> int:
    return sum(1 for _ in netlist.of_type(kind))


def test_registers_move_into_the_blocks(cache: Cache) -> None:
    netlist = netlist_of(Datapath(), cache)
    [(_, multiplier)] = netlist.of_type("MULT18X18D")
    [(_, block_ram)] = netlist.of_type("DP16KD")
    for register in ("INPUTA", "INPUTB", "OUTPUT"):
        assert multiplier["parameters"][f"REG_{register}_CLK"] == "CLK0"
    assert multiplier["connections"]["CLK0"] == netlist.module["ports"]["clk"]["bits"]
    assert "OUTREG" in (block_ram["parameters"]["REGMODE_A"], block_ram["parameters"]["REGMODE_B"])
    # what is left: operand a, which addresses the memory too, and the chain of flags with copies of
    # the first
    copies = 2
    assert count(netlist, "TRELLIS_FF") == 10 + 3 * FAN_OUT + 1 + copies


def test_no_net_of_a_flip_flop_has_too_many_loads(cache: Cache) -> None:
    netlist = netlist_of(Datapath(), cache)
    loads = [
        len(netlist.loads[netlist.bit(cell, "Q")]) for _, cell in netlist.of_type("TRELLIS_FF")
    ]
    assert max(loads) <= FAN_OUT and sorted(loads)[-3:] == [FAN_OUT] * 3


def test_a_table_before_an_adder_goes_into_it(cache: Cache) -> None:
    netlist = netlist_of(Accumulator(), cache)
    assert not count(netlist, "LUT4")
    tables = {
        cell["parameters"][f"INIT{bit}"][:8] for _, cell in netlist.of_type("CCU2C") for bit in "01"
    }
    masked, inverted = 0, 0
    for table in tables:
        bits = [int(bit) for bit in reversed(table)]  # by A, then B, then C
        where = [(i & 1, i >> 1 & 1, i >> 2) for i in range(8)]
        masked += bits in (
            [a ^ (b & (1 - c)) for a, b, c in where],
            [a ^ ((1 - b) & c) for a, b, c in where],
        )
        inverted += bits == [a ^ b ^ c for a, b, c in where]
    assert masked and inverted


def test_registers_with_a_reset_stay(cache: Cache) -> None:
    netlist = netlist_of(Datapath(reset=True), cache)
    [(_, multiplier)] = netlist.of_type("MULT18X18D")
    assert "REG_OUTPUT_CLK" not in multiplier["parameters"], (
        "nextpnr knows timing of all three registers, or none"
    )


def test_registers_with_an_inverted_enable_stay(cache: Cache) -> None:
    netlist = netlist_of(Disabled(), cache)
    bits = {
        bit
        for cell in netlist.cells.values()
        for net in cell["connections"].values()
        for bit in net
    }
    assert {bit for bit in bits if isinstance(bit, str)} <= {"0", "1", "x"}
    assert count(netlist, "TRELLIS_FF") == 10 + 1, "numbers below 1024 are 10 bits"


def test_packing_twice_changes_nothing(cache: Cache, tmp_path: Path) -> None:
    netlist = netlist_of(Datapath(), cache)
    netlist.write(tmp_path / "once.json")
    assert pack(netlist)["copies"] == 0
    netlist.write(tmp_path / "twice.json")
    before, after = (
        Counter(
            cell["type"]
            for cell in json.loads((tmp_path / name).read_text())["modules"]["datapath"][
                "cells"
            ].values()
        )
        for name in ("once.json", "twice.json")
    )
    assert before == after


def test_the_netlist_does_what_the_engine_does_in_the_same_cycles(
    cache: Cache, tmp_path: Path
) -> None:
    """Every kind of cell there is, block RAMs and multipliers with their
    registers, copies dealt out by place, through the same stalls.
    """
    rng = np.random.default_rng(0)
    spec = QuantizeSpec(weight_bits=5, data_bits=8, segment_bits=7, guard=0)
    model = random_integer_model(rng, spec, cell="gru", input_size=2, hidden=4, block=2)
    plan = schedule(model, Design(pes=2, streams=2, chunk=1, lanes=1))
    verilog = to_verilog(Engine(plan))
    entry = synthesis_entry(verilog, "ecp5", cache, placed=True)
    cells = Netlist.read(entry / NETLIST, verilog.top)
    for number, (_, cell) in enumerate(cells.of_type("MULT18X18D")):
        cell["attributes"]["BEL"] = f"X{10 * number}/Y{7 * number % 50}/MULT18_0"
    assert share(cells, fan_out=5, span=8) > 10
    cells.write(tmp_path / NETLIST)
    netlist = as_synthesised(verilog, netlist=tmp_path / NETLIST)
    stimulus = Stimulus(tuple(random_utterances(rng, model, 5)), 2)
    runs = [
        build(one, cache, cycles=100_000).run(
            to_beats(plan, stimulus),
            expected_beats=2 * stimulus.frames,
            max_cycles=100_000,
            stall_in=0.3,
            stall_out=0.3,
            seed=1,
        )
        for one in (verilog, netlist)
    ]
    assert np.array_equal(runs[0].outputs.data, runs[1].outputs.data)
    assert np.array_equal(runs[0].output_cycle, runs[1].output_cycle)
    assert not runs[1].violations and not len(runs[1].events["error"])
    assert {kind: count(cells, kind) for kind in ("MULT18X18D", "DP16KD")} == {
        "MULT18X18D": plan.multipliers,
        "DP16KD": 1,
    }
