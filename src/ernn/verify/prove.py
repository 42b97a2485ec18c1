"""Golden against simulation: all output integers equal, or the first
edge, step and lane that differ.

The simulated engine gets the frames of whole utterances on all its streams, with random stalls on
both handshakes. Where an output differs, the same run is repeated with the engine's probes
recorded, and every intermediate integer is compared in the order of the dataflow.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ernn.errors import UserError
from ernn.flow.beats import Beats, pack, unpack
from ernn.flow.simulate import Simulation, SimulationError, Simulator, build
from ernn.flow.verilog import to_verilog
from ernn.golden.compiled import Compiled
from ernn.golden.headroom import saturating_states
from ernn.golden.run import run_all, trace
from ernn.ir.edges import data_bits
from ernn.ir.integer_model import IntegerModel
from ernn.ir.precision import Shares, saturated
from ernn.rtl.engine import Engine
from ernn.rtl.stream import container_bits
from ernn.scheduling.probes import LOCATORS, Place, probe_names
from ernn.scheduling.schedule import Schedule
from ernn.verify.stimulus import Stimulus

Array = np.ndarray


@dataclass(frozen=True)
class Divergence:
    """The first integer that differs: edge, position, both values. `lane`: within the edge."""

    edge: str
    stream: int
    utterance: int
    time: int
    lane: int
    golden: int
    simulated: int

    def __str__(self) -> str:
        return (
            f"first difference at edge {self.edge}, lane {self.lane}, time step {self.time} of "
            f"utterance {self.utterance} (stream {self.stream}): golden {self.golden}, simulated "
            f"{self.simulated}"
        )


@dataclass(frozen=True)
class Proof:
    """What a run showed; its text is one line."""

    frames: int
    """Of input."""
    integers: int
    """Compared."""
    mismatches: int
    """Integers that differ, missing ones among them."""
    divergence: Divergence | None
    """Names the first that differs."""
    violations: tuple[str, ...]
    """Broken rules of AXI4-Stream, wrong TLAST or TUSER, an error port that rose: a line each."""
    missing: int
    """Output beats that did not come, or came and should not have."""
    stall: float
    """Probability that either handshake paused in a cycle."""
    seed: int
    """Of the stalls."""
    saturating: Shares = ()
    """States at the ends of their formats: the share of values. Equal, but not good."""

    @property
    def passed(self) -> bool:
        """Whether all is as it should be."""
        return not (self.mismatches or self.violations or self.missing or self.divergence)

    def __str__(self) -> str:
        counted = f"{self.frames:,} frames, {self.integers:,} integers, {self.mismatches:,} differ"
        if self.passed:
            return "; ".join(filter(None, (f"{counted}: passed", saturated(self.saturating))))
        missing = [f"{self.missing:,} beats missing"] if self.missing else []
        first = [str(self.divergence)] if self.divergence else []
        return "; ".join([f"{counted}: failed", *missing, *first, *self.violations])


@dataclass(frozen=True)
class Cycles:
    """Simulated without stalls; `Schedule` predicts all three."""

    interval: int
    latency: int
    last_interval: int


def simulator_of(schedule: Schedule, frames: int | None = None) -> Simulator:
    """The engine with its probes, compiled. `frames`: how many it is to simulate, about; of few, it
    is there sooner. None: many.
    """
    cycles = None if frames is None else cycles_of(schedule, frames)
    return build(to_verilog(Engine(schedule, probes=True)), cycles=cycles)


def cycles_of(schedule: Schedule, frames: int) -> int:
    """Cycles that it takes to prove so many frames, about, and to measure cycles."""
    rounds = frames // schedule.layout.design.streams + 2 * ROUNDS
    return rounds * schedule.interval


def prove(
    simulator: Simulator,
    schedule: Schedule,
    utterances: Sequence[Array],
    *,
    stall: float = 0.2,
    seed: int = 0,
    golden: IntegerModel | None = None,
    reset_at: int | None = None,
) -> Proof:
    """Run utterances, int64 (time, inputs) each, through golden and simulation and compare.

    `stall`: probability that either handshake pauses in a cycle.  `golden`: the model that the
    engine should implement, if not the one it was made from (to see a corrupted engine caught).
    `reset_at`: the engine is reset in that cycle, and everything begins again.
    """
    if not 0 <= stall < 1:
        raise UserError(f"stall is a probability, at least 0 and below 1, not {stall}")
    if reset_at is not None and reset_at < 0:
        raise UserError(f"reset_at is a cycle, counted from 0, not {reset_at}")
    # The engine gives every frame's output, also for a model that keeps only the last, but where
    # its design leaves them out.
    model = replace(golden or schedule.layout.model, last_step=False)
    stimulus = Stimulus(tuple(utterances), schedule.layout.design.streams)
    _require_frames(model, stimulus)
    simulation, missing = _simulate(
        simulator, schedule, stimulus, stall, seed, _flags(simulator), reset_at
    )
    every = expected_outputs(model, utterances)
    expected = [one[_sent(schedule, len(one))] for one in every]
    mismatches = _mismatches(_outputs(simulation, schedule), expected, stimulus)
    divergence = None
    if (mismatches or missing) and simulator.probes:
        probed, _ = _simulate(
            simulator, schedule, stimulus, stall, seed, simulator.probes, reset_at
        )
        divergence = first_divergence(model, schedule, stimulus, probed)
    return Proof(
        frames=stimulus.frames,
        integers=sum(one.size for one in expected),
        mismatches=mismatches,
        divergence=divergence,
        violations=tuple(_violations(simulation, schedule, stimulus)),
        missing=missing,
        stall=stall,
        seed=seed,
        saturating=saturating_states(model, utterances, Compiled),
    )


def _flags(simulator: Simulator) -> tuple[str, ...]:
    """Ports that tell of errors."""
    return tuple(name for name in ("error", "weight_fault") if name in simulator.events)


CHECKED = 16
"""Frames of every utterance that the compiled and the plain golden model both run in every proof.
"""


def expected_outputs(model: IntegerModel, utterances: Sequence[Array]) -> list[Array]:
    """What golden gives: compiled on all frames, the plain one on the first of every utterance.

    Tests hold the two equal on every edge, and each proof checks some frames again.
    """
    expected = run_all(model, utterances, Compiled)
    for plain, fast in zip(
        run_all(model, [frames[:CHECKED] for frames in utterances]), expected, strict=True
    ):
        if not np.array_equal(plain, fast[:CHECKED]):
            raise AssertionError(
                "the compiled golden model differs from the plain one: report this model as a bug"
            )
    return expected


def _sent(schedule: Schedule, frames: int) -> slice:
    """Of a sequence's frames those whose outputs the engine sends."""
    return slice(max(0, frames - 1), None) if schedule.layout.design.once else slice(None)


ROUNDS = 12
"""Rounds of every stream that cycles are measured on, without the first third of the intervals."""


def measure_cycles(simulator: Simulator, schedule: Schedule, frame: Array) -> Cycles:
    """Interval between rounds with every stream busy, and between frames that are sequences of
    their own; latency of one on an idle engine."""
    inputs = schedule.layout.model.input.length
    if np.shape(frame) != (inputs,):
        raise UserError(
            f"one frame of ({inputs},) integers is measured with, not {np.shape(frame)}: give "
            "utterance[0]"
        )
    streams = schedule.layout.design.streams
    busy = tuple(np.repeat(frame[None], ROUNDS, 0) for _ in range(streams))
    interval = _interval(simulator, schedule, Stimulus(busy, streams))
    single = Stimulus((frame[None],) * ROUNDS, 1)
    once = schedule.layout.design.once
    last_interval = _interval(simulator, schedule, single) if once else interval
    nothing = (frame[None][:0],) * (streams - 1)
    alone, _ = _simulate(
        simulator, schedule, Stimulus((*nothing, frame[None]), streams), 0.0, 0, record=()
    )
    latency = int(alone.output_cycle[-1]) - int(alone.input_cycle[-1])
    return Cycles(interval, latency, last_interval)


def _interval(simulator: Simulator, schedule: Schedule, busy: Stimulus) -> int:
    """What most rounds are apart."""
    steady, _ = _simulate(simulator, schedule, busy, 0.0, 0, record=simulator.events)
    starts = steady.events["round"].astype(np.int64)
    gaps = Counter(np.diff(starts)[ROUNDS // 3 :].tolist())
    return gaps.most_common(1)[0][0]


def measure_activity(simulator: Simulator, schedule: Schedule, frames: Array) -> float:
    """Share of data bits that toggle in a cycle, 0..1, all streams busy with
    `frames`, int64 (time, inputs).

    Counted at the engine's probes: words of spectra, products and the vector unit's results.
    """
    streams = schedule.layout.design.streams
    busy = Stimulus(tuple(frames for _ in range(streams)), streams)
    run, _ = _simulate(simulator, schedule, busy, 0.0, 0, record=simulator.probes)
    toggles = bits = 0
    for name, writes in run.probes.items():
        port = simulator.verilog.port(f"probe_{name}_data")
        assert port is not None
        toggles, bits = toggles + writes.toggles, bits + port.width
    return toggles / (bits * run.cycles)


def _require_frames(model: IntegerModel, stimulus: Stimulus) -> None:
    if not stimulus.frames:
        raise UserError("there are no frames to verify with: give at least one utterance")
    source = model.input
    for index, utterance in enumerate(stimulus.utterances):
        if utterance.ndim != 2 or utterance.shape[1] != source.length:
            raise UserError(
                f"utterance {index} must be (time, {source.length} inputs), not {utterance.shape}"
            )
        if not np.issubdtype(utterance.dtype, np.integer):
            raise UserError(
                f"utterance {index} is {utterance.dtype}: the engine takes integers, which "
                "ernn.golden.boundary.quantize_input(model, frames) makes of features"
            )
        if (
            utterance.size
            and not source.format.low <= utterance.min() <= utterance.max() <= source.format.high
        ):
            raise UserError(
                f"utterance {index} holds {utterance.min()}..{utterance.max()}, outside "
                f"{source.format.width} bits"
            )


def _simulate(
    simulator: Simulator,
    schedule: Schedule,
    stimulus: Stimulus,
    stall: float,
    seed: int,
    record: Sequence[str],
    reset_at: int | None = None,
) -> tuple[Simulation, int]:
    """The run, and how many output beats did not come."""
    model = schedule.layout.model
    lengths = [range(len(utterance)) for utterance in stimulus.utterances]
    frames = sum(len(times[_sent(schedule, len(times))]) for times in lengths)
    expected = frames * schedule.layout.output_lines
    slowest = schedule.last_interval * (1 + schedule.rounds_late) + schedule.length + 64
    lines = schedule.layout.lines(model.input.length) + schedule.layout.output_lines
    limit = stimulus.frames * (slowest + 8 * lines) * 2 + 1000
    try:
        simulation = simulator.run(
            to_beats(schedule, stimulus),
            expected_beats=expected,
            max_cycles=int(limit / (1 - stall) ** 2),
            stall_in=stall,
            stall_out=stall,
            seed=seed,
            record=record,
            reset_at=reset_at,
        )
    except SimulationError as error:
        return error.simulation, abs(expected - len(error.simulation.outputs))
    return simulation, 0


def to_beats(schedule: Schedule, stimulus: Stimulus) -> Beats:
    """The frames as the engine takes them on its input stream."""
    model, layout = schedule.layout.model, schedule.layout
    lines = layout.lines(model.input.length)
    tid = np.repeat([stream for stream, _, _ in stimulus.order], lines)
    number = np.tile(np.arange(lines), len(stimulus.order))
    first = np.repeat([time == 0 for _, _, time in stimulus.order], lines) & (number == 0)
    last = number == lines - 1
    if layout.design.once:
        ends = [time == len(stimulus.utterances[index]) - 1 for _, index, time in stimulus.order]
        last &= np.repeat(ends, lines)
    data = pack(stimulus.words(layout.line), container_bits(data_bits(model)))
    return Beats.of(data, tid=tid, first=first, last=last)


def _outputs(simulation: Simulation, schedule: Schedule) -> list[Array]:
    """Output frames (frames, outputs) of each stream."""
    model, line = schedule.layout.model, schedule.layout.line
    lines = schedule.layout.output_lines
    lanes = unpack(simulation.outputs.data, container_bits(data_bits(model)), line)
    frames = []
    for stream in range(schedule.layout.design.streams):
        mine = lanes[simulation.outputs.tid == stream]
        whole = mine[: len(mine) // lines * lines].reshape(-1, lines * line)
        frames.append(whole[:, schedule.layout.output_numbers])
    return frames


def _mismatches(outputs: list[Array], expected: list[Array], stimulus: Stimulus) -> int:
    """Integers that differ, missing ones included."""
    total = 0
    for stream, given in enumerate(outputs):
        position = 0
        for index in stimulus.of_stream(stream):
            length = len(expected[index])
            mine = given[position : position + length]
            total += expected[index].size - int((mine == expected[index][: len(mine)]).sum())
            position += length
    return total


def _violations(simulation: Simulation, schedule: Schedule, stimulus: Stimulus) -> Iterator[str]:
    """Rules broken: AXI4-Stream's, those of frames and sequences, the first of each
    stream; and ports that tell of errors."""
    yield from (f"cycle {violation.cycle}: {violation.rule}" for violation in simulation.violations)
    for name, cycles in simulation.events.items():
        if len(cycles):
            yield f"cycle {cycles[0]}: the {name} port is high"
    lines = schedule.layout.output_lines
    for stream in range(schedule.layout.design.streams):
        mine = simulation.outputs.tid == stream
        every = [np.arange(len(stimulus.utterances[index])) for index in stimulus.of_stream(stream)]
        times = [one[_sent(schedule, len(one))] for one in every]
        begins = np.repeat(np.concatenate([np.zeros(0, int), *times]) == 0, lines)
        ends = np.arange(len(begins)) % lines == lines - 1
        for name, flags, right in (
            ("TLAST", simulation.outputs.last, ends),
            ("TUSER", simulation.outputs.first, begins),
        ):
            given = flags[mine][: len(right)]
            for beat in np.flatnonzero(given != right[: len(given)])[:1]:
                yield f"beat {beat} of stream {stream}: {name} is {int(given[beat])}"


# --- where it begins


def first_divergence(
    model: IntegerModel, schedule: Schedule, stimulus: Stimulus, simulation: Simulation
) -> Divergence | None:
    """The earliest difference: by time step, then by the order of edges in the dataflow."""
    golden = [trace(model, utterance) for utterance in stimulus.utterances]
    ranks = {edge: rank for rank, edge in enumerate(golden[0])}
    found: list[tuple[tuple[int, int, int], Divergence]] = []
    head = schedule.layout.head_edges
    for place, number, word in _probed(schedule, simulation):
        if place.edge in head:
            number = stimulus.end(place.stream, number)
        where = stimulus.position(place.stream, number)
        if where is None:
            continue
        row = golden[where[0]][place.edge][where[1]]
        expected = row[place.first : place.first + place.count]
        wrong = np.flatnonzero(expected != word[: len(expected)])
        if wrong.size:
            lane = place.first + int(wrong[0])
            one = Divergence(
                place.edge, place.stream, *where, lane, int(row[lane]), int(word[wrong[0]])
            )
            found.append(((number, ranks[place.edge], lane), one))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _probed(schedule: Schedule, simulation: Simulation) -> Iterator[tuple[Place, int, Array]]:
    """Every recorded write: its place, the number of the frame, and the values."""
    model = schedule.layout.model
    for kind, locate in LOCATORS.items():
        lanes = schedule.layout.lanes if kind in ("vector", "aside") else model.block
        names = probe_names(kind, schedule.layout.design.words)
        for column, name in enumerate(names if names[0] in simulation.probes else ()):
            writes = simulation.probes[name]
            values = unpack(writes.data, data_bits(model), lanes)
            seen: Counter[Place] = Counter()
            for address, word in zip(writes.address.tolist(), values, strict=True):
                place = locate(schedule, column, address)
                if place is not None:
                    yield place, seen[place], word
                    seen[place] += 1
