"""From integers to a proven engine: design, build, verify, each over a run directory."""

from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache

import numpy as np

from ernn.errors import UserError
from ernn.files import write_json
from ernn.flow.simulate import build as simulator_of
from ernn.flow.verilog import Verilog, to_verilog
from ernn.golden.boundary import quantize_inputs
from ernn.ir import serialization as codec
from ernn.ir.integer_model import IntegerModel
from ernn.ir.precision import saturated
from ernn.pipeline import choosing
from ernn.pipeline.chosen import DESIGN, chosen
from ernn.pipeline.kept import GIVEN, MODEL, model_of
from ernn.pipeline.run import Outcome, Run
from ernn.pipeline.watts import record_power
from ernn.report import series
from ernn.report.record import Measurement, RunRecord
from ernn.rtl.engine import Engine
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import Schedule, schedule
from ernn.search.choice import Request
from ernn.search.hardware import search
from ernn.verify import cycles_of, measure_cycles, prove
from ernn.verify.prove import Proof, measure_activity

RTL, TOP = "rtl", "rtl/ernn_engine.v"
FRAMES = 2000  # that are simulated and compared, if nothing else is said
BUSY_FRAMES = 40  # whose toggles are counted
UNITS = ("processing elements", "inverse transform", "vector unit", "forward transform")


def design(run: Run, request: Request) -> Outcome:
    """Choose an engine for the model, and predict its cycles and its area."""
    options = choosing.options(request)

    def work() -> None:
        model = model_of(run)
        found = search(model, request)
        write_json(run.path(DESIGN), {"device": request.device.name, **asdict(found.best.design)})
        _record_design(run.record, schedule(model, found.best.design))
        choosing.record(run.record, found)

    return run.perform("design", options, work, reads=[MODEL], writes=[DESIGN])


def scheduled(run: Run) -> Schedule:
    """The run's model on the run's design."""
    design = chosen(run).design
    return schedule(model_of(run), design)


def verilog_of(run: Run) -> Verilog:
    """The engine with its probes: the one text that is written, simulated,
    synthesised (probes cut off) and placed.
    """
    design = chosen(run).design
    model = model_of(run)
    return _verilog(_Made(codec.digest(model), design, model))


@dataclass(frozen=True)
class _Made:
    """What decides an engine's text: a model, told from others by its digest, and a design."""

    digest: str
    design: Design
    model: IntegerModel = field(compare=False)


@lru_cache(maxsize=1)
def _verilog(made: _Made) -> Verilog:
    """The last one is kept: in one process every step after `build` needs the same."""
    return to_verilog(Engine(schedule(made.model, made.design), probes=True))


def build(run: Run) -> Outcome:
    """Write the engine as Verilog with its memory files."""

    def work() -> None:
        made = verilog_of(run)
        # So that a build stopped half-way is taken neither for the old one nor for the new.
        run.path(TOP).unlink(missing_ok=True)
        made.write(run.path(RTL))
        tool = "counted in the Verilog"
        lines, memories = (
            made.text.count("\n"),
            sum(content.count(b"\n") for content in made.memories.values()),
        )
        run.record.set("build.verilog_lines", Measurement(lines, "lines", "measured", tool))
        run.record.set("build.memory_words", Measurement(memories, "words", "measured", tool))

    return run.perform("build", {}, work, reads=[MODEL, DESIGN], writes=[TOP])


def verify(run: Run, frames: int | None, stall: float, seed: int) -> Outcome:
    """Simulate `frames` frames of the test split or more, with random stalls; compare every
    integer. None: as many as `FRAMES`, or all where there are fewer.

    The outcome is recorded whether or not it is equality; `verify.mismatches` says which.
    """
    options = {"frames": frames, "stall": stall, "seed": seed}

    def work() -> None:
        made = scheduled(run)
        utterances = _stimulus(run, made.layout.model, frames)
        about = cycles_of(made, sum(map(len, utterances)))
        simulator = simulator_of(verilog_of(run), cycles=about)
        proof = prove(simulator, made, utterances, stall=stall, seed=seed)
        _record_proof(run.record, made, proof)
        cycles = measure_cycles(simulator, made, utterances[0][0])
        tool = "Verilator, all streams busy, no stalls"
        run.record.set(
            "cycles.simulated", Measurement(cycles.interval, "cycles", "simulated", tool)
        )
        tool = "Verilator, a frame's last word in to its last word out, idle engine"
        run.record.set(
            "verify.latency_cycles", Measurement(cycles.latency, "cycles", "simulated", tool)
        )
        _record_utilisation(
            run.record, made, cycles.interval, Measurement(0, "%", "simulated", "Verilator")
        )
        _record_activity(run.record, measure_activity(simulator, made, utterances[0][:BUSY_FRAMES]))
        record_speed(run.record)
        record_power(run.record, chosen(run).device, made.layout.model)

    reads = [MODEL, DESIGN, *([GIVEN] if run.done("import") else [])]
    return run.perform("verify", options, work, reads=reads)


def disagreement(run: Run) -> str:
    """What the run's proof found wrong, in words; empty where everything was equal."""
    found = series.take(run.record, series.Proof)
    if found is None or found.first_divergence:
        return found.first_divergence if found else "nothing was verified yet"
    for name, what in (
        ("mismatches", "output integers differ"),
        ("protocol_violations", "AXI4-Stream rules broken"),
    ):
        count = int(run.record.get(f"verify.{name}").value)
        if count:
            return f"{count} {what}"
    predicted, simulated = (
        int(run.record.get(f"cycles.{name}").value) for name in ("predicted", "simulated")
    )
    return (
        ""
        if predicted == simulated
        else f"{predicted} cycles a round predicted, {simulated} simulated"
    )


def saturated_states(run: Run) -> str:
    """A line on states that sat at the ends of their formats in the run's proof; empty if none."""
    found = series.take(run.record, series.Proof)
    return "" if found is None else saturated(found.saturating)


def record_speed(record: RunRecord) -> None:
    """Frames per second and latency, if the record holds the clock and cycles they follow from."""
    clock, per_frame = record.find("clock_mhz"), record.find("cycles_per_frame")
    if clock is None or per_frame is None:
        return
    tool, mhz = f"clock ({clock.tool}) ÷ cycles", clock.value
    fps = round(mhz * 1e6 / per_frame.value, 1)
    record.set("fps", Measurement(fps, "frames/s", clock.kind, tool, note="all streams busy"))
    latency = record.find("verify.latency_cycles")
    if latency is not None:
        note = "one frame, last word in to last word out, on an idle engine"
        value = round(latency.value / mhz, 3)
        record.set("latency_us", Measurement(value, "µs", clock.kind, tool, note=note))


def _stimulus(run: Run, model: IntegerModel, frames: int | None) -> list[np.ndarray]:
    """Whole test utterances with `frames` frames or more; UserError if there are fewer."""
    utterances = _utterances(run)
    lengths = np.cumsum([len(one) for one in utterances])
    frames = min(FRAMES, lengths[-1]) if frames is None else frames
    if frames < 1 or frames > lengths[-1]:
        raise UserError(
            f"the test split has {lengths[-1]} frames: verify 1 to that many, not {frames}"
        )
    return quantize_inputs(model, utterances[: int(np.searchsorted(lengths, frames)) + 1])


def _utterances(run: Run) -> list[np.ndarray]:
    """The test split's frames, or those that an imported network was given."""
    if run.done("import"):
        from ernn.pipeline.importing import read_data

        return read_data(run.path(GIVEN))
    from ernn.pipeline import sequences  # reading them takes another extra than the rest

    return [example.features for example in sequences.prepared(run).test]


def _record_design(record: RunRecord, made: Schedule) -> None:
    design, note = made.layout.design, "a round: one frame of every stream"
    record.set(
        "cycles.predicted",
        Measurement(made.interval, "cycles", "estimated", "ernn.scheduling.schedule", note=note),
    )
    per_frame, tool = (
        made.cycles_per_frame,
        f"ernn.scheduling.schedule, {design.elements} processing elements, {design.streams} "
        "streams",
    )
    record.set("cycles_per_frame", Measurement(per_frame, "cycles", "estimated", tool))
    _record_utilisation(record, made, made.interval, Measurement(0, "%", "estimated", tool))
    record.set("multipliers", Measurement(made.multipliers, "multipliers", "estimated", tool))
    useful = made.useful_array + made.useful_vector
    record.set(
        "multiplications.frame",
        Measurement(useful, "multiplications", "measured", "counted from the model"),
    )
    bars = tuple(series.ScheduleBar(b.unit, b.start, b.end, b.label, b.stream) for b in made.bars)
    picture = series.Schedule(
        "estimated", "ernn.scheduling.schedule", UNITS, bars, 0, made.interval, design.streams
    )
    series.put(record, picture)


def _record_utilisation(
    record: RunRecord, made: Schedule, interval: int, source: Measurement
) -> None:
    """Busy share of multiplier-cycles, at `interval` cycles a round; kind and tool of `source`."""
    share = 100 * made.interval / interval
    note = "useful multiplier-cycles of all multiplier-cycles of the engine, all streams busy"
    record.set("utilisation", replace(source, value=round(share * made.utilisation, 3), note=note))
    note = "the same of the processing elements alone"
    record.set(
        "array_utilisation",
        replace(source, value=round(share * made.array_utilisation, 3), note=note),
    )


def _record_activity(record: RunRecord, share: float) -> None:
    note = (
        "of the bits of spectra, products and the vector unit's results, the test split, "
        "all streams busy"
    )
    tool = f"Verilator, {BUSY_FRAMES} frames of the test split on every stream"
    record.set(
        "activity",
        Measurement(round(100 * share, 3), "% of bits a cycle", "simulated", tool, note=note),
    )


def _record_proof(record: RunRecord, made: Schedule, proof: Proof) -> None:
    tool = (
        f"Verilator, {made.layout.design.streams} streams, stalls {proof.stall}, seed {proof.seed}"
    )

    def set_count(name: str, value: int, unit: str) -> None:
        record.set(f"verify.{name}", Measurement(value, unit, "simulated", tool))

    set_count("frames", proof.frames, "frames")
    set_count("integers", proof.integers, "integers")
    set_count("mismatches", proof.mismatches + proof.missing, "integers")
    set_count("saturating_states", len(proof.saturating), "edges")
    set_count("protocol_violations", len(proof.violations), "violations")
    stalls = (
        f"each handshake paused with probability {proof.stall} in every cycle, seed {proof.seed}"
    )
    model = made.layout.model
    first = str(proof.divergence) if proof.divergence else ""
    edges = model.outputs
    digest, streams = codec.digest(model), made.layout.design.streams
    series.put(
        record, series.Proof(digest, edges, stalls, streams, first, saturating=proof.saturating)
    )
