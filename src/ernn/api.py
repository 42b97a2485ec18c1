"""The face of the project: a network to integers, an engine, a proof and a placed clock.

    import ernn

    plan = ernn.CompressionPlan.blocks(8)
    ernn.project(module, plan)
    model = ernn.convert(module, speech, plan)
    engine = ernn.design(model, "LFE5U-25F")
    print(model.error(held_out), engine.verify(held_out), engine.build(), sep="\\n")

Everything here takes and gives real numbers, NumPy arrays (time, values); the integers below are
`ernn.golden`'s.  The command line calls the same functions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ernn.errors import UserError
from ernn.estimate.device import Device, find_device
from ernn.ir import reference, serialization
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Network
from ernn.quantization.quantize import DEFAULT, QuantizeSpec, quantize
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import Schedule, schedule

if TYPE_CHECKING:
    from ernn.compress.plan import CompressionPlan
    from ernn.flow.simulate import Simulator
    from ernn.verify.prove import Proof

Array = np.ndarray
Utterances = Sequence[Array]
"""Frames (time, inputs) each, of any lengths, normalised as in training."""


def project(module: Any, plan: "CompressionPlan") -> None:
    """Move a torch module's weights to the nearest ones that the plan allows, in place.

    module: a `torch.nn.Module`.
    plan: which structure each matrix gets, e.g. `CompressionPlan.blocks(8)`.

    Projection alone costs accuracy: docs/how-to/compress.md trains towards the plan and inside it.
    Raises UserError where a structure does not fit a matrix.
    """
    from ernn.compress.inside import project_once

    project_once(module, plan)


def convert(
    module: Any,
    utterances: Utterances,
    plan: "CompressionPlan | None" = None,
    *,
    spec: QuantizeSpec = DEFAULT,
    batch_first: bool = True,
) -> "Model":
    """A trained network with its integers.

    module: a `torch.nn.Module` of recurrent and linear layers (docs/how-to/own-network.md says what
        is taken), or a `Network` that you have already.
    utterances: typical frames from training data; every format is chosen from what the network does
        on them.
    plan: the structures that the module's weights have (None: dense).
    spec: bits of weights and data.
    batch_first: whether the module takes (batch, time, inputs) rather than (time, batch, inputs).

    Raises UserError where the module does what a network cannot, or its weights are not as the plan
    says.

    >>> import torch
    >>> speech = [np.random.default_rng(seed).normal(size=(20, 4)) for seed in range(3)]
    >>> model = convert(torch.nn.GRU(4, 8, batch_first=True), speech)
    >>> model.predict(speech[0]).shape
    (20, 8)
    """
    if len(utterances) == 0:
        raise UserError("give at least one utterance, (time, inputs): formats are chosen on them")
    network = (
        module if isinstance(module, Network) else _imported(module, utterances, plan, batch_first)
    )
    return Model(network, quantize(network, utterances, spec))


def _imported(
    module: Any, utterances: Utterances, plan: "CompressionPlan | None", batch_first: bool
) -> Network:
    import torch

    from ernn.compress.plan import structures
    from ernn.nn.importer import import_torch

    frames = torch.as_tensor(np.asarray(utterances[0]), dtype=torch.float32)
    parameter = next(module.parameters(), frames) if isinstance(module, torch.nn.Module) else frames
    example = frames[None] if batch_first else frames[:, None]
    found = None if plan is None else structures(module, plan)
    return import_torch(module, example.to(parameter), structures=found)


@dataclass(frozen=True)
class Error:
    """How far the integers are from the floats, on some frames.

    rms: of the difference, over that of the floats (0.01 is one per cent).
    largest: of the difference, in the outputs' own unit.
    frames: how many were compared.
    """

    rms: float
    largest: float
    frames: int

    def __str__(self) -> str:
        return (
            f"integers against floats: {self.rms:.2%} rms, at most {self.largest:.2g}, over "
            f"{self.frames:,} frames"
        )


@dataclass(frozen=True, eq=False)
class Model:
    """A network in floats and in integers.

    network: layers as plain arrays.
    integers: the same as integers and decisions, what golden executes and hardware is made of.
    """

    network: Network
    integers: IntegerModel

    def predict(self, frames: Array) -> Array:
        """Outputs (time, outputs) of frames (time, inputs), computed in integers."""
        return self._predicted([frames])[0]

    def predict_float(self, frames: Array) -> Array:
        """Outputs (time, outputs) of frames (time, inputs), computed in float64."""
        return reference.run(self.network, np.asarray(frames, np.float64))[0]

    def error(self, utterances: Utterances) -> Error:
        """How far the integers are from the floats; give frames that chose no formats.

        utterances: frames (time, inputs) each.
        """
        if len(utterances) == 0:
            raise UserError("give at least one utterance, (time, inputs), to compare on")
        floats = reference.run_all(self.network, [np.asarray(u, np.float64) for u in utterances])
        expected, found = np.concatenate(floats), np.concatenate(self._predicted(utterances))
        scale = float(np.sqrt(np.square(expected).mean()))
        apart = found - expected
        rms = float(np.sqrt(np.square(apart).mean()))
        frames = sum(len(frames) for frames in utterances)
        return Error(rms / scale if scale else rms, float(np.abs(apart).max()), frames)

    def _predicted(self, utterances: Utterances) -> list[Array]:
        from ernn.golden import Compiled, dequantize_output, run_all

        outputs = run_all(self.integers, self.quantized(utterances), Compiled)
        return [dequantize_output(self.integers, values) for values in outputs]

    def quantized(self, utterances: Utterances) -> list[Array]:
        """Frames as the engine takes them, int64 (time, inputs) each."""
        from ernn.golden import quantize_input

        return [quantize_input(self.integers, np.asarray(frames)) for frames in utterances]

    def stream(self) -> "Stream":
        """Frames in, frames out, state kept in between."""
        return Stream(self)

    def save(self, path: Path | str) -> Path:
        """Write both forms to one file, whole or not at all."""
        return serialization.save(path, (self.network, self.integers))

    @classmethod
    def load(cls, path: Path | str) -> "Model":
        """Read what `save` wrote. Raises UserError for a missing, damaged or other file."""
        network, integers = serialization.load(path, tuple)
        return cls(network, integers)


class Stream:
    """One endless utterance in integers, for real numbers: state is kept between calls.

    model: one whose layers all run forward in time; UserError otherwise.
    """

    def __init__(self, model: Model) -> None:
        from ernn.golden import Stream as IntegerStream

        self._integers = model.integers
        self._stream = IntegerStream(model.integers)

    def push(self, frames: Array) -> Array:
        """Outputs (time, outputs) for the next frames (time, inputs)."""
        from ernn.golden import dequantize_output, quantize_input

        outputs = self._stream.push(quantize_input(self._integers, np.asarray(frames)))
        return dequantize_output(self._integers, outputs)

    def reset(self) -> None:
        """Back to the state before the first frame."""
        self._stream.reset()


def design(
    model: Model,
    device: str,
    *,
    goal: str = "throughput",
    streams: int | None = None,
    clock_mhz: float | None = None,
) -> "Engine":
    """The best engine found for a model on a device.

    device: a part's name, e.g. "LFE5U-25F"; docs/reference/published.md lists them.
    goal: "throughput" (frames a second of all streams) or "latency" (of one frame).
    streams: independent sequences that take turns; None: as many as pay.
    clock_mhz: the clock to count with; None: what is assumed for the device.

    Raises UserError where nothing fits, saying what is short and by how much.
    """
    from ernn.estimate.clock import Clock
    from ernn.search.hardware import Request, search
    from ernn.search.space import Goal

    found = find_device(device)
    clock = Clock.assumed(found) if clock_mhz is None else Clock.given(clock_mhz)
    wanted: Goal = goal  # type: ignore[assignment]  # Request says what a goal can be
    best = search(model.integers, Request(found, clock, wanted, streams)).best
    return Engine(model, best.design, found)


@dataclass(frozen=True)
class Built:
    """An engine placed on a device.

    clock_mhz: the median over the seeds, by nextpnr's timing model (no vendor sign-off).
    frames_per_second: of all streams together, at that clock.
    latency_us: of one frame through an idle engine, at that clock.
    area: cells used by kind, e.g. {"lut": 5630, "dsp": 28, ...}.
    """

    device: str
    clock_mhz: float
    frames_per_second: float
    latency_us: float
    area: Mapping[str, int]

    def __str__(self) -> str:
        used = ", ".join(f"{count:,} {kind}" for kind, count in self.area.items())
        return (
            f"{self.device}: {self.clock_mhz:.1f} MHz placed, {self.frames_per_second:,.0f} "
            f"frames/s, {self.latency_us:.1f} us a frame; {used}"
        )


@dataclass(frozen=True, eq=False)
class Engine:
    """An accelerator for a model: its schedule, its Verilog, its proof.

    design: the free choices; they change cycles and area, never an integer.
    device: what it is placed on; None: only `build(device)` needs one.
    """

    model: Model
    design: Design
    device: Device | None = None

    @cached_property
    def schedule(self) -> Schedule:
        """What every unit does in every cycle."""
        return schedule(self.model.integers, self.design)

    @property
    def cycles_per_frame(self) -> float:
        """In steady state, all streams busy; simulation gives the same."""
        return self.schedule.cycles_per_frame

    @property
    def latency(self) -> int:
        """Cycles from a frame's last word in to its last word out, idle engine."""
        return self.schedule.latency

    @cached_property
    def _simulator(self) -> "Simulator":
        from ernn.verify import simulator_of

        return simulator_of(self.schedule)

    def compile(self) -> "Engine":
        """Make the Verilog and its simulator now, which takes a while; the engine itself."""
        _ = self._simulator
        return self

    def verify(self, utterances: Utterances, *, stall: float = 0.2, seed: int = 0) -> "Proof":
        """Simulate utterances and compare every output integer with golden's.

        utterances: frames (time, inputs) each.
        stall: probability that either handshake pauses in a cycle.
        seed: of the stalls.

        `Proof.passed` says whether all are equal; where not, the first difference is named.
        """
        from ernn.verify import prove

        integers = self.model.quantized(utterances)
        return prove(self._simulator, self.schedule, integers, stall=stall, seed=seed)

    def write(self, folder: Path | str) -> Path:
        """Write the Verilog that is simulated, with its memory files; the top module's path."""
        return self._simulator.verilog.write(folder)

    def build(
        self,
        device: str | None = None,
        *,
        seeds: Sequence[int] = (1,),
        grade: int | None = None,
    ) -> Built:
        """Synthesise, place and route with open tools (Lattice ECP5).

        device: another part than the one designed for.
        seeds: of the placer; the median clock counts, and three say more than one.
        grade: the part's speed grade; None: the slowest.

        Raises UserError for a device that cannot be placed, ToolError where a tool fails.
        """
        from ernn.flow.place import place
        from ernn.flow.synthesise import synthesise

        part = self.device if device is None else find_device(device)
        if part is None:
            raise UserError("say which device to build for, e.g. engine.build('LFE5U-25F')")
        verilog = self._simulator.verilog
        area = synthesise(verilog, part)
        clock = place(verilog, part, grade=grade, seeds=seeds).median_mhz
        counts = {"lut": area.lut, "ff": area.ff, "dsp": area.dsp, "block RAM": area.bram_blocks}
        return Built(
            part.name, clock, clock * 1e6 / self.cycles_per_frame, self.latency / clock, counts
        )
