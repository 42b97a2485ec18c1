"""A simulated design against its description in NumPy, with every handshake disturbed."""

import dataclasses
from shutil import rmtree

import numpy as np
import pytest
from designs import Scaler, lanes_of, scaled
from hypothesis import given, settings
from hypothesis import strategies as st

from ernn.errors import UserError
from ernn.flow.beats import Beats, pack, unpack
from ernn.flow.cache import Cache
from ernn.flow.compiled import FEW_CYCLES
from ernn.flow.simulate import SimulationError, Simulator, build
from ernn.flow.verilog import to_verilog

# 84 bits: more than a machine word, no multiple of 8
LANES, BITS, TABLE = (
    7,
    12,
    tuple(range(3, 11)),
)
FRAME = len(TABLE)
COUNT = 40 * FRAME
CYCLES = 100_000


@pytest.fixture(scope="module")
def simulator(cache: Cache) -> Simulator:
    return build(to_verilog(Scaler(LANES, BITS, TABLE)), cache, cycles=CYCLES)


def stimulus(count: int = COUNT, seed: int = 5) -> tuple[np.ndarray, Beats]:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 1 << BITS, (count, LANES))
    number = np.arange(count)
    return values, Beats.of(
        pack(values, BITS),
        tid=rng.integers(0, 4, count),
        first=number < FRAME,
        last=number % FRAME == FRAME - 1,
    )


def run(simulator: Simulator, beats: Beats, **options):
    return simulator.run(beats, expected_beats=len(beats), max_cycles=CYCLES, **options)


@pytest.mark.parametrize(
    ("stall_in", "stall_out"), [(0.0, 0.0), (0.6, 0.0), (0.0, 0.6), (0.4, 0.4)]
)
def test_stalls_change_cycles_and_nothing_else(
    simulator: Simulator, stall_in: float, stall_out: float
) -> None:
    values, beats = stimulus()
    result = run(simulator, beats, stall_in=stall_in, stall_out=stall_out, seed=11)
    expected = scaled(values, beats.last, BITS, TABLE)
    assert np.array_equal(lanes_of(result.outputs, BITS, LANES), expected)
    for name in ("tid", "first", "last"):
        assert np.array_equal(getattr(result.outputs, name), getattr(beats, name)), name
    assert result.violations == ()
    assert (np.diff(result.output_cycle) > 0).all() and result.cycles == result.output_cycle[-1] + 1
    if stall_in == stall_out == 0:
        assert result.cycles == len(beats) + 1
    else:
        rate = 1 - max(stall_in, stall_out)
        assert result.cycles > 0.9 * len(beats) / rate


def test_probes_and_events_see_every_write(simulator: Simulator) -> None:
    values, beats = stimulus()
    result = run(simulator, beats, stall_in=0.3, stall_out=0.3, seed=2)
    probe = result.probes["sum"]
    sums = values.sum(1).reshape(-1, FRAME).cumsum(1).reshape(-1)
    assert np.array_equal(unpack(probe.data, 2 * BITS + 8, 1)[:, 0], sums)
    assert np.array_equal(probe.address, np.arange(COUNT) % FRAME)
    assert np.array_equal(probe.cycle, result.input_cycle)
    assert np.array_equal(result.events["frame"], result.input_cycle[beats.last])


def test_recording_can_be_limited(simulator: Simulator) -> None:
    _, beats = stimulus()
    result = run(simulator, beats, record=["frame"])
    assert len(result.probes["sum"].cycle) == 0 and len(result.events["frame"]) == 40
    with pytest.raises(UserError, match=r"no probe or event called 'carry'; there are sum, frame"):
        run(simulator, beats, record=["carry"])


def test_stall_patterns_are_followed(simulator: Simulator) -> None:
    _, beats = stimulus(8)
    pattern = np.array([True, False, False])
    result = run(simulator, beats, stall_out=pattern)
    assert (result.output_cycle % 3 != 0).all()
    late = run(simulator, beats, stall_in=np.array([True, True, True, False]))
    assert np.array_equal(late.input_cycle, 4 * np.arange(8) + 3)


def test_the_same_seed_gives_the_same_cycles(simulator: Simulator) -> None:
    _, beats = stimulus()
    runs = [run(simulator, beats, stall_in=0.3, stall_out=0.3, seed=seed) for seed in (1, 1, 2)]
    assert np.array_equal(runs[0].output_cycle, runs[1].output_cycle)
    assert not np.array_equal(runs[0].output_cycle, runs[2].output_cycle)


@pytest.mark.parametrize("reset_at", [0, 1, 13, 100])
def test_reset_leaves_no_trace(simulator: Simulator, reset_at: int) -> None:
    _, beats = stimulus()
    straight = run(simulator, beats, stall_in=0.2, stall_out=0.2, seed=4)
    reset = run(simulator, beats, stall_in=0.2, stall_out=0.2, seed=4, reset_at=reset_at)
    assert np.array_equal(reset.outputs.data, straight.outputs.data)
    assert np.array_equal(reset.output_cycle, straight.output_cycle)


def test_memory_contents_are_read_when_the_run_begins(simulator: Simulator, cache: Cache) -> None:
    other = to_verilog(Scaler(LANES, BITS, TABLE[::-1]))
    again = build(other, cache, cycles=CYCLES)
    assert again.path == simulator.path and other.digest != simulator.verilog.digest
    values, beats = stimulus()
    expected = scaled(values, beats.last, BITS, TABLE[::-1])
    assert np.array_equal(lanes_of(run(again, beats).outputs, BITS, LANES), expected)


def test_what_is_optimised_for_many_cycles_shows_the_same(cache: Cache) -> None:
    verilog = to_verilog(Scaler(3, 8, TABLE))
    values, beats = stimulus()
    beats = Beats.of(pack(values[:, :3] >> 4, 8), first=beats.first, last=beats.last)
    rmtree(build(verilog, cache).path.parent)  # of an earlier run: it would serve few cycles, too
    quick = build(verilog, cache, cycles=FEW_CYCLES - 1)
    optimised = build(verilog, cache, cycles=FEW_CYCLES)
    assert quick.path != optimised.path == build(verilog, cache).path
    assert build(verilog, cache, cycles=1).path == optimised.path, (
        "it is there, and serves few, too"
    )
    one, other = (
        run(simulator, beats, stall_in=0.3, stall_out=0.3, seed=7)
        for simulator in (quick, optimised)
    )
    assert np.array_equal(one.outputs.data, other.outputs.data)
    assert np.array_equal(one.output_cycle, other.output_cycle)
    assert one.cycles == other.cycles


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ("drops valid", "tvalid fell before tready"),
        ("changes data", "changed while tready was low"),
    ],
)
def test_a_design_that_breaks_axi_is_caught(cache: Cache, fault: str, rule: str) -> None:
    broken = build(to_verilog(Scaler(LANES, BITS, TABLE, fault=fault)), cache, cycles=CYCLES)
    _, beats = stimulus()
    assert run(broken, beats, stall_in=0.5).violations == ()  # it takes a stalled output to show
    violations = run(broken, beats, stall_in=0.5, stall_out=0.5).violations
    assert violations and rule in violations[0].rule


def test_a_beat_too_many_is_caught(cache: Cache) -> None:
    broken = build(
        to_verilog(Scaler(LANES, BITS, TABLE, fault="sends twice")), cache, cycles=CYCLES
    )
    _, beats = stimulus(FRAME)
    with pytest.raises(SimulationError, match=r"sent 9 beats where 8 were expected") as caught:
        run(broken, beats)
    assert len(caught.value.simulation.outputs) == FRAME + 1


def test_missing_beats_are_counted(simulator: Simulator) -> None:
    _, beats = stimulus(FRAME)
    with pytest.raises(
        SimulationError,
        match=r"only 8 of 9 output beats came within 500 cycles.*8 of 8 input beats",
    ):
        simulator.run(beats, expected_beats=9, max_cycles=500)


def test_arguments_that_do_not_fit_are_refused(simulator: Simulator) -> None:
    _, beats = stimulus(FRAME)
    full = np.full((FRAME, 11), 255, dtype=np.uint8)
    for wrong, message in (
        (Beats.of(beats.data[:, :5]), "11 bytes, not 5"),
        (Beats.of(full), "bits above the 84"),
        (Beats.of(beats.data, tid=4), "s_axis_tid has 2 bits and cannot hold stream 4"),
    ):
        with pytest.raises(UserError, match=message):
            run(simulator, wrong)
    with pytest.raises(UserError, match=r"stall_in is a probability in \[0, 1\), not 1.0"):
        run(simulator, beats, stall_in=1.0)
    with pytest.raises(UserError, match="before the reset wanted at cycle 5000"):
        run(simulator, beats, reset_at=5000)


def test_a_design_without_the_ports_is_refused(simulator: Simulator, cache: Cache) -> None:
    ports = tuple(port for port in simulator.verilog.ports if port.name != "s_axis_tlast")
    with pytest.raises(
        UserError, match="ernn_engine lacks the ports s_axis_tlast that simulation drives"
    ):
        build(dataclasses.replace(simulator.verilog, ports=ports), cache)


@given(
    bits=st.integers(1, 62), lanes=st.integers(1, 9), seed=st.integers(0, 9), signed=st.booleans()
)
@settings(max_examples=40, deadline=None)
def test_packing_is_invertible(bits: int, lanes: int, seed: int, signed: bool) -> None:
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
    values = np.random.default_rng(seed).integers(low, high, (3, lanes))
    data = pack(values, bits)
    assert data.shape == (3, (bits * lanes + 7) // 8)
    assert np.array_equal(unpack(data, bits, lanes, signed=signed), values)
    whole = sum((int(v) % (1 << bits)) << (bits * lane) for lane, v in enumerate(values[0]))
    assert int.from_bytes(data[0].tobytes(), "little") == whole  # by Python's own integers
