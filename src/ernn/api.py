"""The face: a network to integers, an engine, a proof and a placed clock.

Everything here takes and gives real numbers, arrays (time, values); integers are `ernn.golden`'s.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ernn.data.given import held_back, real, sequences
from ernn.errors import PrecisionWarning, UserError, naming_extras, require
from ernn.estimate.device import find_device
from ernn.flow.built import Built
from ernn.frontends.imported import Imported
from ernn.frontends.opened import opened, streamed
from ernn.ir import reference, serialization
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Network
from ernn.ir.precision import LIMIT, Error, saturated
from ernn.quantization.quantize import DEFAULT, QuantizeSpec
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import Schedule, schedule

if TYPE_CHECKING:
    from ernn.compress.plan import CompressionPlan
    from ernn.flow.simulate import Simulator
    from ernn.flow.verilog import Verilog
    from ernn.verify.prove import Proof

Array = np.ndarray
Utterances = Sequence[Array]  # (time, inputs) each, normalised as in training


@naming_extras()
def project(module: Any, plan: "CompressionPlan") -> None:
    """Move a torch module's weights to the nearest ones that a plan allows, in place.

    module: a `torch.nn.Module`.
    plan: which structure each matrix gets.

    Projection alone costs accuracy: docs/how-to/compress.md trains towards a plan and inside it.
    Raises UserError where a structure does not fit a matrix.

    >>> import ernn, torch
    >>> module = torch.nn.GRU(4, 8, batch_first=True)
    >>> ernn.project(module, ernn.CompressionPlan.blocks(4))
    >>> weight = module.weight_hh_l0.detach()
    >>> bool(weight[0, 0] == weight[1, 1] == weight[2, 2])  # a block's diagonal
    True
    """
    from ernn.compress.inside import project_once

    _check_plan(module, plan)
    project_once(module, plan)


@naming_extras()
def convert(
    module: Any,
    utterances: Utterances,
    plan: "CompressionPlan | None" = None,
    *,
    spec: QuantizeSpec = DEFAULT,
    batch_first: bool = True,
    held_out: Utterances | None = None,
    limit: float = LIMIT,
    carry: bool = False,
    **given: Array,
) -> "Model":
    """A trained network with its integers, which say how far they are from its floats.

    module: a `torch.nn.Module` with recurrent layers (docs/how-to/own-network.md says what is
        taken), compiled, scripted, traced or exported too, the path of an ONNX file, or a `Network`
        that you have already.
    utterances: typical recordings (time, inputs) of the training data, normalised as in training;
        every format is chosen from what the network does on them. A network that takes something
        else, such as indices (time,), is given that; one that takes several inputs, mappings of
        arrays by their names, the frames first.
    plan: the structures that the module's weights have; None: all are dense.
    spec: the most bits of weights and data; by default 12 and 16.
    batch_first: whether the module takes (batch, time, inputs) rather than (time, batch, inputs).
    held_out: utterances to measure the integers' error on; None: a fifth of `utterances`, which
        then chooses no formats.
    limit: of that error, rms over that of the floats; beyond it, and where a state saturates, there
        is a `PrecisionWarning`.
    carry: whether states come with a sequence's first frame and leave with its last, so that an
        engine has them too (docs/explanation/engine.md); otherwise only software takes and gives
        them.
    given: other inputs by name, of one sequence: of an ONNX file what they always are (left out,
        they are states that begin with zeros), of a torch module an example, in order.

    What does not stream stays on the host, and the model runs it too: `Model.imported`.
    The error lies in `integers.error`. The module is run on random frames and must agree with what
    was made of it to 1e-5.
    Raises UserError where nothing of it streams, where its weights are not as the plan says, and
    where there is no frame.

    >>> import ernn, torch
    >>> speech = [torch.randn(20, 4) for _ in range(3)]  # arrays or tensors
    >>> model = ernn.convert(torch.nn.GRU(4, 8, batch_first=True), speech)
    >>> model.predict(speech[0]).shape
    (20, 8)
    """
    from ernn.golden.least_error import least_error

    require(spec, QuantizeSpec, "spec must be a QuantizeSpec")
    imported = _imported(module, utterances, plan, batch_first, given)
    if imported is not None and carry:
        imported = imported.carried()
    network = module if imported is None else imported.network
    frames = streamed(imported, utterances)
    parts = held_back(frames) if held_out is None else (frames, streamed(imported, held_out))
    integers, _ = least_error(network, *parts, spec, limit)
    if integers.error is not None and (concern := integers.error.concern(limit)):
        warnings.warn(concern, PrecisionWarning, stacklevel=3)
    return Model(network, integers, None if imported is None or imported.plain else imported)


def _imported(
    module: Any,
    utterances: Utterances,
    plan: "CompressionPlan | None",
    batch_first: bool,
    given: Mapping[str, Array],
) -> Imported | None:
    """By the first sequence; None of a network."""
    if isinstance(module, Network):
        if plan is None:
            return None
        raise UserError("a network has its structures already: a plan is for a torch module only")
    frames, beside = next(pair for pair in sequences(utterances) if len(pair[0]))
    found = None
    if plan is not None:
        from ernn.compress.plan import structures

        _check_plan(module, plan)
        found = structures(module, plan)
    return opened(module, frames, found, batch_first, given, beside)


def _check_plan(module: Any, plan: Any) -> None:
    import torch

    from ernn.compress.plan import CompressionPlan

    if isinstance(module, torch.jit.ScriptModule | torch.export.ExportedProgram):
        raise UserError("a plan is of layers: give the module that this was made from")
    require(module, torch.nn.Module, "the module must be a torch.nn.Module")
    require(plan, CompressionPlan, "a plan must be a CompressionPlan, as CompressionPlan.blocks(8)")


@dataclass(frozen=True, eq=False)
class Model:
    """A network in floats and in integers; `convert` makes one.

    Methods that take frames raise UserError where these are not (time, inputs), or not finite.

    >>> import ernn, torch
    >>> speech = [torch.randn(20, 4) for _ in range(3)]
    >>> model = ernn.convert(torch.nn.LSTM(4, 8, batch_first=True), speech)
    >>> bool(abs(model.predict(speech[0]) - model.predict_float(speech[0])).max() < 0.01)
    True
    """

    network: Network
    """Layers as plain arrays."""
    integers: IntegerModel
    """The same as integers and decisions, what golden executes and hardware is made of."""
    imported: Imported | None = None
    """What stays on the host; None where nothing does."""

    def __post_init__(self) -> None:
        require(self.network, Network, "a model's network must be a Network")
        require(self.integers, IntegerModel, "a model's integers must be an IntegerModel")

    def predict(self, frames: Array, **inputs: Array) -> Any:
        """Outputs (time, outputs), computed in integers.

        frames: one utterance (time, inputs), at least one frame where the network gives its last
            step's output only; outputs are then (1, outputs).
        inputs: other inputs by name, such as states; left out, they are as in `convert`.

        Where something stays on the host, it runs in floats, and what comes back is what the user's
        network gives for one sequence: an array, or arrays by name.
        """
        from ernn.golden import Compiled, dequantize_output, quantize_input, run
        from ernn.golden.sequence import executed

        if self.imported is not None:
            return self.imported.results(frames, inputs, partial(executed, self.integers))
        given = quantize_input(self.integers, self._frames(frames, "an utterance"))
        return dequantize_output(self.integers, run(self.integers, given, Compiled))

    def predict_float(self, frames: Array, **inputs: Array) -> Any:
        """Outputs (time, outputs), computed in float64.

        frames: as for `predict`.  inputs: too.
        """
        if self.imported is not None:
            return self.imported.results(frames, inputs, self.imported.execute_float)
        return reference.run(self.network, self._frames(frames, "an utterance"))[0]

    @property
    def accelerator(self) -> "Model":
        """What streams, alone."""
        return Model(self.network, self.integers)

    def error(self, utterances: Utterances) -> Error:
        """How far the integers are from the floats.

        utterances: frames (time, inputs) each, best such that chose no formats.

        Raises UserError where there is no frame.

        >>> import ernn, torch
        >>> speech = [torch.randn(30, 4) for _ in range(4)]
        >>> model = ernn.convert(torch.nn.GRU(4, 8, batch_first=True), speech[:3])
        >>> model.error(speech[3:]).rms < 0.01
        True
        """
        from ernn.golden import precision

        given = streamed(self.imported, utterances, self.network.input_size)
        return precision(self.network, self.integers, given)

    def quantized(self, utterances: Utterances) -> list[Array]:
        """Frames as the engine takes them, int64 (time, inputs) each.

        utterances: frames (time, inputs) each.
        """
        from ernn.golden import quantize_inputs

        given = streamed(self.imported, utterances, self.network.input_size)
        return quantize_inputs(self.integers, given)

    def stream(self, state: Mapping[str, Array] | None = None) -> "Stream":
        """Frames in, frames out, state kept in between: a `Stream`.

        state: to begin with, by name, as `Stream.state` has it; None: the initial one.
        """
        return Stream(self, state)

    def save(self, path: Path | str) -> Path:
        """Write both forms to one file, whole or not at all; its path.

        path: of the file; folders that are not there are made. OSError where it cannot be written.
        """
        if self.imported is not None:
            raise UserError("a file holds only what streams: save model.accelerator")
        return serialization.save(path, (self.network, self.integers))

    @classmethod
    def load(cls, path: Path | str) -> "Model":
        """Read what `save` wrote, or what `ernn quantize` left in a run directory.

        path: of either. Raises UserError where it is missing, damaged or holds something else.
        """
        require(path, (str, Path), "a model is loaded from a path")
        if Path(path).is_dir():
            floats = serialization.load(Path(path) / "network.safetensors", Network)
            return cls(floats, serialization.load(Path(path) / "model.safetensors", IntegerModel))
        match serialization.load(path, object):
            case (Network() as network, IntegerModel() as integers):
                return cls(network, integers)
            case Network():
                what = "a network without integers: ernn.convert(network, utterances) makes them"
            case IntegerModel():
                what = "integers without their network: ernn.golden runs them"
            case other:
                what = f"a {type(other).__name__}"
        raise UserError(f"{path} is not what Model.save writes: it holds {what}")

    def _frames(self, frames: Any, what: str) -> Array:
        return real(frames, what, self.network.input_size)


class Stream:
    """One endless utterance in integers, for real numbers: state is kept between calls.

    model: one whose layers all run forward in time, with nothing on the host; UserError otherwise.
    state: to begin with, as for `reset`.

    >>> import ernn, numpy as np, torch
    >>> speech = torch.randn(20, 4)
    >>> model = ernn.convert(torch.nn.GRU(4, 8, batch_first=True), [speech])
    >>> stream = model.stream()
    >>> parts = [stream.push(speech[:7]), model.stream(stream.state).push(speech[7:])]
    >>> bool((np.concatenate(parts) == model.predict(speech)).all())
    True
    """

    def __init__(self, model: Model, state: Mapping[str, Array] | None = None) -> None:
        from ernn.golden import Stream as IntegerStream

        require(model, Model, "a stream is of a Model")
        if model.imported is not None:
            raise UserError(
                "part of the network stays on the host: model.predict takes and gives its states, "
                "and model.accelerator.stream() is what streams, alone"
            )
        self._model = model
        self._stream = IntegerStream(model.integers)
        if state is not None:
            self.reset(state)

    def push(self, frames: Array) -> Array:
        """Outputs (time, outputs) for the next frames.

        frames: (time, inputs), any number of them. UserError for another shape, or values that are
            not finite.
        """
        from ernn.golden import dequantize_output, quantize_input

        integers = self._model.integers
        given = self._model._frames(frames, "what is pushed")
        return dequantize_output(integers, self._stream.push(quantize_input(integers, given)))

    @property
    def state(self) -> dict[str, Array]:
        """What is remembered now by name, as "l0.h", (frames, values), the last frame's first."""
        from ernn.golden.sequence import state_of

        return state_of(self._model.integers, self._stream)

    def reset(self, state: Mapping[str, Array] | None = None) -> None:
        """Back to the state before the first frame, or to one such as `state` gives, or part of it.

        state: by name. UserError for other names and lengths.
        """
        from ernn.golden.sequence import begin

        begin(self._model.integers, self._stream, state or {})


def design(
    model: Model,
    device: str,
    *,
    goal: str = "throughput",
    streams: int | None = None,
    clock_mhz: float | None = None,
    once: bool = False,
) -> "Engine":
    """The best engine found for a model on a device.

    model: what it computes, bit for bit.
    device: a part's name, e.g. "LFE5U-25F"; docs/reference/published.md lists them.
    goal: "throughput" (frames a second of all streams) or "latency" (of one frame).
    streams: independent sequences that take turns, 1 to 16; None: as many as pay.
    clock_mhz: the clock to count with, 1 to 1000 MHz; None: what is assumed for the device.
    once: whether the head of a network that gives its last step only is run once a sequence, which
        the end of a packet then tells (`Design.once`): one stream, whose frames follow sooner.

    Raises UserError where nothing fits, saying what is short and by how much.

    >>> import ernn, torch
    >>> speech = torch.randn(20, 4)
    >>> model = ernn.convert(torch.nn.GRU(4, 8, batch_first=True), [speech])
    >>> engine = ernn.design(model, "LFE5U-25F", streams=1)
    >>> engine.design.streams, engine.cycles_per_frame < 500
    (1, True)
    """
    from ernn.estimate.clock import Clock
    from ernn.search.choice import Request
    from ernn.search.hardware import search
    from ernn.search.space import Goal

    require(model, Model, "an engine is for a Model")
    require(streams, Integral | None, "streams must be a whole number, 1..16")
    require(clock_mhz, Real | None, "clock_mhz must be a number")
    require(once, bool, "once must be True or False")
    found = find_device(device)
    clock = Clock.assumed(found) if clock_mhz is None else Clock.given(clock_mhz)
    wanted: Goal = goal  # type: ignore[assignment]  # Request says what a goal can be
    best = search(model.integers, Request(found, clock, wanted, streams, once=once)).best
    return Engine(model, best.design, found.name)


@dataclass(frozen=True, eq=False)
class Engine:
    """An accelerator for a model: its schedule, its Verilog, its proof.

    `design` chooses one; by hand, it is made of a model and a `Design`.  Raises UserError for an
    unknown device; its parts raise it where hardware cannot run the model, as with a layer that
    runs backward.

    >>> import ernn, torch
    >>> speech = torch.randn(20, 4)
    >>> model = ernn.convert(torch.nn.GRU(4, 8, batch_first=True), [speech])
    >>> engines = [ernn.Engine(model, ernn.Design(pes=count)) for count in (1, 2)]
    >>> engines[0].cycles_per_frame > engines[1].cycles_per_frame
    True
    """

    model: Model
    """What it computes."""
    design: Design
    """The free choices; they change cycles and area, never an integer."""
    device: str | None = None
    """The part that it is placed on; None where `build(device)` says it."""

    def __post_init__(self) -> None:
        require(self.model, Model, "an engine is for a Model")
        require(self.design, Design, "an engine's design must be a Design, as Design(pes=4)")
        if self.device is not None:
            find_device(self.device)

    @cached_property
    def schedule(self) -> Schedule:
        """What every unit does in every cycle."""
        return schedule(self.model.integers, self.design)

    @property
    def cycles_per_frame(self) -> float:
        """Cycles from frame to frame, all streams busy; simulation gives the same number."""
        return self.schedule.cycles_per_frame

    @property
    def latency(self) -> int:
        """Cycles from a frame's last word in to its last word out, of an idle engine."""
        return self.schedule.latency

    @cached_property
    @naming_extras()
    def verilog(self) -> "Verilog":
        """The text that is simulated, synthesised and placed, made when first asked for."""
        from ernn.flow.verilog import to_verilog
        from ernn.rtl.engine import Engine as Circuit

        return to_verilog(Circuit(self.schedule, probes=True))

    @cached_property
    @naming_extras()
    def simulator(self) -> "Simulator":
        """The Verilog compiled for simulation, when first asked for."""
        from ernn.flow.simulate import build

        return build(self.verilog)

    def compile(self) -> "Engine":
        """Make `verilog` and `simulator` now, in seconds to minutes; gives the engine itself.

        Raises ToolError, a UserError, with the tool's last words where a tool fails.
        """
        _ = self.simulator
        return self

    @naming_extras()
    def verify(self, utterances: Utterances, *, stall: float = 0.2, seed: int = 0) -> "Proof":
        """Simulate utterances and compare every output integer with golden's.

        utterances: frames (time, inputs) each.
        stall: probability that either handshake pauses in a cycle, at least 0 and below 1.
        seed: of the stalls.

        `Proof.passed` says whether all are equal; where not, its text names the first difference.
        States at the ends of their formats are a `PrecisionWarning`.
        Raises UserError where there is no frame, ToolError where a tool fails.
        """
        from ernn.flow.simulate import build
        from ernn.verify import cycles_of, prove

        integers = self.model.quantized(utterances)
        cycles = cycles_of(self.schedule, sum(map(len, integers)))
        simulator = build(self.verilog, cycles=cycles)
        proof = prove(simulator, self.schedule, integers, stall=stall, seed=seed)
        if said := saturated(proof.saturating):
            warnings.warn(said, PrecisionWarning, stacklevel=3)
        return proof

    def write(self, folder: Path | str) -> Path:
        """Write the Verilog with its memory files; the path of the top module.

        folder: is made where it is not there. OSError where it cannot be written.
        """
        return self.verilog.write(folder)

    @naming_extras()
    def build(
        self, device: str | None = None, *, seeds: Sequence[int] = (1,), grade: int | None = None
    ) -> Built:
        """Synthesise, place and route with open tools (Lattice ECP5); takes minutes.

        device: another part than the one designed for.
        seeds: of the placer; the median clock counts, and three say more than one.
        grade: the part's speed grade; None: the slowest.

        Raises UserError for a device that cannot be placed, ToolError where a tool fails.
        """
        from ernn.flow.place import grade_of, place
        from ernn.flow.synthesise import synthesise

        name = self.device if device is None else device
        if name is None:
            raise UserError("say which device to build for, e.g. engine.build('LFE5U-25F')")
        part = find_device(name)
        speed = grade_of(part, grade)  # refused before anything is made
        clock = place(self.verilog, part, grade=speed, seeds=seeds).median_mhz
        area = synthesise(self.verilog, part)
        counts = {"lut": area.lut, "ff": area.ff, "dsp": area.dsp, "block RAM": area.bram_blocks}
        return Built(
            part.name, clock, clock * 1e6 / self.cycles_per_frame, self.latency / clock, counts
        )
