"""The face: what it gives is what the parts give, and each mistake is one line."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import ernn
from ernn.flow import place, synthesise
from ernn.golden import Plain, dequantize_output, quantize_input, run
from ernn.ir import reference, serialization
from ernn.ir.layers import linear
from ernn.ir.network import Matrix, Network
from ernn.ir.serialization import digest
from ernn.quantization.quantize import quantize
from ernn.verify.prove import Divergence, Proof
from tests.brief import search_briefly

INPUTS = 3
RNG = np.random.default_rng(0)
SPEECH = [RNG.normal(size=(length, INPUTS)) for length in (12, 20, 7)]


class Words(nn.Module):
    """Every step's scores, or the last's."""

    def __init__(self, last: bool = False) -> None:
        super().__init__()
        self.gru, self.word = nn.GRU(INPUTS, 4, batch_first=True), nn.Linear(4, 2)
        self.last = last

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        outputs = self.gru(frames)[0]
        return self.word(outputs[:, -1] if self.last else outputs)


def words(last: bool = False) -> Words:
    torch.manual_seed(0)
    return Words(last)


@pytest.fixture(scope="module")
def model() -> ernn.Model:
    module, plan = words(), ernn.CompressionPlan.blocks(4)
    ernn.project(module, plan)
    return ernn.convert(module, SPEECH, plan)


@pytest.fixture(scope="module")
def engine() -> ernn.Engine:
    """As small as can be: its simulator takes four seconds to make."""
    torch.manual_seed(0)
    tiny = ernn.convert(nn.GRU(INPUTS, 2, batch_first=True), SPEECH)
    return ernn.Engine(tiny, ernn.Design(pes=1), "lfe5u-25f")


# --- a model


def test_outputs_are_those_of_golden_and_of_the_reference(model: ernn.Model) -> None:
    frames = SPEECH[1]
    integers = run(model.integers, quantize_input(model.integers, frames), Plain)
    assert np.array_equal(model.predict(frames), dequantize_output(model.integers, integers))
    assert np.array_equal(model.predict_float(frames), reference.run(model.network, frames)[0])


def test_lists_and_tensors_are_frames_too(model: ernn.Model) -> None:
    frames = SPEECH[1].astype(np.float32)
    expected = model.predict(frames)
    for same in (frames.tolist(), torch.tensor(frames), torch.tensor(frames, requires_grad=True)):
        assert np.array_equal(model.predict(same), expected)  # type: ignore[arg-type]


def test_a_classifier_gives_its_last_step() -> None:
    made = ernn.convert(words(last=True), SPEECH)
    assert made.predict(SPEECH[0]).shape == made.predict_float(SPEECH[0]).shape == (1, 2)
    assert made.error(SPEECH).frames == len(SPEECH)


def scaled(by: float) -> Network:
    weight = Matrix(np.eye(INPUTS)[None] * by)
    return Network((linear(weight, np.zeros(INPUTS)),))


def test_an_error_that_is_known_is_found() -> None:
    off = 1 / 128  # what 12 bits can hold
    made = ernn.Model(scaled(1), quantize(scaled(1 + off), SPEECH))
    found, largest = made.error(SPEECH), max(abs(frames).max() for frames in SPEECH)
    assert found.rms == pytest.approx(off, rel=0.01)
    assert found.largest == pytest.approx(off * largest, rel=0.03)
    assert str(found).startswith("integers against floats: 0.78% rms")


def test_of_outputs_that_are_nothing_the_error_is_absolute() -> None:
    silence = [np.zeros((5, INPUTS))]
    assert ernn.Model(scaled(1.0), quantize(scaled(1.0), SPEECH)).error(silence).rms == 0


def test_fewer_bits_are_further_away(model: ernn.Model) -> None:
    few = ernn.convert(model.network, SPEECH, spec=ernn.QuantizeSpec(weight_bits=6, data_bits=8))
    assert few.error(SPEECH).rms > 10 * model.error(SPEECH).rms > 0


def test_a_stream_gives_what_the_whole_gives(model: ernn.Model) -> None:
    stream, frames = model.stream(), SPEECH[1]
    for _ in range(2):
        pieces = [stream.push(frames[:5]), stream.push(frames[5:5]), stream.push(frames[5:])]
        assert np.array_equal(np.concatenate(pieces), model.predict(frames))
        stream.reset()


def test_saved_and_loaded_it_is_the_same(model: ernn.Model, tmp_path: Path) -> None:
    again = ernn.Model.load(model.save(tmp_path / "folder" / "model.ernn"))
    assert digest((again.network, again.integers)) == digest((model.network, model.integers))


def test_a_network_is_converted_as_its_module_is(model: ernn.Model) -> None:
    again = ernn.convert(model.network, SPEECH)
    assert digest(again.integers) == digest(model.integers)


# --- an engine


def test_the_engine_computes_the_model(engine: ernn.Engine, tmp_path: Path) -> None:
    proof = engine.compile().verify(SPEECH)
    assert str(proof) == "39 frames, 78 integers, 0 differ: passed"
    written = engine.write(tmp_path / "verilog")
    assert written.read_text() == engine.simulator.verilog.text == engine.verilog.text


def test_cycles_are_the_schedules(engine: ernn.Engine) -> None:
    assert engine.cycles_per_frame == engine.schedule.cycles_per_frame
    assert engine.latency == engine.schedule.latency > 0


def test_one_is_found_for_a_device(model: ernn.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    search_briefly(monkeypatch)
    alone = ernn.design(model, "lfe5u-25f", goal="latency", streams=1, clock_mhz=100.0)
    assert (alone.device, alone.design.streams) == ("LFE5U-25F", 1)


def test_a_build_says_what_it_took(engine: ernn.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tools stood in for: tests/flow runs them, tests/cli the whole way."""

    def placed(*_: Any, **given: Any) -> Any:
        assert given == {"grade": 6, "seeds": (1, 2)}
        return SimpleNamespace(median_mhz=100.0)

    area = SimpleNamespace(lut=5000, ff=4000, dsp=5, bram_blocks=6)
    monkeypatch.setattr(place, "place", placed)
    monkeypatch.setattr(synthesise, "synthesise", lambda *_: area)
    built = engine.build(seeds=(1, 2), grade=6)
    assert built.frames_per_second * engine.cycles_per_frame == built.clock_mhz * 1e6
    assert str(built).startswith("LFE5U-25F: 100.0 MHz placed, ")
    assert str(built).endswith("us a frame; 5,000 lut, 4,000 ff, 5 dsp, 6 block RAM")


DIFFERENCE = Divergence("l0.h", 0, 0, 3, 1, 5, 6)


def test_a_failed_proof_says_what_failed() -> None:
    proof = Proof(80, 800, 2, DIFFERENCE, ("beat 3 of stream 0: TLAST is 0",), 1, 0.2, 0)
    assert str(proof) == (
        "80 frames, 800 integers, 2 differ: failed; 1 beats missing; first difference at edge "
        "l0.h, lane 1, time step 3 of utterance 0 (stream 0): golden 5, simulated 6; beat 3 of "
        "stream 0: TLAST is 0"
    )


# --- mistakes


BLOCKS = ernn.CompressionPlan.blocks(4)
NO_FRAME = "give at least one utterance"
MISTAKES: dict[str, tuple[Callable[[], Any], str]] = {
    "no utterances": (lambda: ernn.convert(words(), []), NO_FRAME),
    "no frames": (lambda: ernn.convert(words(), [SPEECH[0][:0]]), NO_FRAME),
    "one array": (lambda: ernn.convert(words(), SPEECH[0]), r"give one alone as \[frames\]"),
    "no list": (lambda: ernn.convert(words(), None), "a list of arrays"),  # type: ignore[arg-type]
    "names": (lambda: ernn.convert(words(), ["a.wav"]), "array of real numbers"),  # type: ignore[list-item]
    "not finite": (lambda: ernn.convert(words(), [SPEECH[0] * np.nan]), "is not finite"),
    "other sizes": (
        lambda: ernn.convert(words(), [SPEECH[0], SPEECH[1][:, :2]]),
        r"frames must be \(time, 3\), not \(20, 2\)",
    ),
    "no module": (
        lambda: ernn.convert("gru.pt", SPEECH, BLOCKS),
        "torch.nn.Module, not str",
    ),
    "a class": (lambda: ernn.project(nn.GRU, BLOCKS), "torch.nn.Module, not the class GRU"),
    "no plan": (lambda: ernn.project(words(), 8), "a CompressionPlan, .*, not int"),  # type: ignore[arg-type]
    "no spec": (lambda: ernn.convert(words(), SPEECH, spec=12), "a QuantizeSpec, not int"),  # type: ignore[arg-type]
    "not projected": (lambda: ernn.convert(words(), SPEECH, BLOCKS), "is not BlockCirculant"),
    "a plan for a network": (
        lambda: ernn.convert(scaled(1), SPEECH, BLOCKS),
        "a network has its structures already",
    ),
    "a block of 7": (lambda: ernn.CompressionPlan.blocks(7), "block size must be one of"),
    "no network": (lambda: ernn.Model(words(), None), "must be a Network, not Words"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_conversion_is_one_line(name: str) -> None:
    call, words = MISTAKES[name]
    one_line(call, words)


def one_line(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ernn.UserError, match=words) as raised:
        call()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("method", ["predict", "predict_float", "push"])
def test_frames_of_another_shape_are_refused(model: ernn.Model, method: str) -> None:
    call = model.stream().push if method == "push" else getattr(model, method)
    for frames in (SPEECH[0][0], SPEECH[0][None], SPEECH[0][:, :2]):
        one_line(lambda frames=frames: call(frames), r"must be \(time, 3\), not \(")
    one_line(lambda: call("abc"), "array of real numbers")
    one_line(lambda: call(SPEECH[0] * np.inf), "is not finite")


def test_an_error_needs_frames(model: ernn.Model) -> None:
    for none in ([], [SPEECH[0][:0]]):
        one_line(lambda none=none: model.error(none), NO_FRAME)
    one_line(lambda: model.error([SPEECH[0][:, :2]]), r"utterance 0 must be \(time, 3\)")


def test_other_files_are_refused(model: ernn.Model, tmp_path: Path) -> None:
    values = {
        "a network without integers": model.network,
        "integers without their network": model.integers,
        "a tuple": (model.network, model.network),
    }
    for what, value in values.items():
        path = serialization.save(tmp_path / "other.ernn", value)
        one_line(lambda path=path: ernn.Model.load(path), f"other.ernn is not .* holds {what}")
    (tmp_path / "text").write_text("hello")
    one_line(lambda: ernn.Model.load(tmp_path / "text"), "is not a file written by ernn")
    one_line(lambda: ernn.Model.load(tmp_path / "none"), "cannot read .*No such file")
    one_line(lambda: ernn.Model.load(5), "a model is loaded from a path, not int")  # type: ignore[arg-type]


def test_a_search_for_what_is_not_there_is_refused(model: ernn.Model) -> None:
    def search(device: Any = "LFE5U-25F", **given: Any) -> Callable[[], Any]:
        return lambda: ernn.design(model, device, **given)

    for device in ("FPGA", None):
        one_line(search(device), f"no device called {device!r}; known are LFE5U-25F")
    one_line(search(goal="speed"), "for throughput or latency, not 'speed'")
    one_line(search(streams=0), "streams must be 1..16, not 0")
    one_line(search(streams=1.5), "streams must be a whole number")
    one_line(search(clock_mhz=0), "1 to 1000 MHz, not 0")
    one_line(search(clock_mhz="fast"), "clock_mhz must be a number, not str")
    one_line(search(once=True), "leaves out outputs, and this network gives every frame's")
    one_line(search(once=1), "once must be True or False")
    one_line(lambda: ernn.design(words(), "LFE5U-25F"), "for a Model, not Words")  # type: ignore[arg-type]


def test_an_engine_that_cannot_be_is_refused(model: ernn.Model, engine: ernn.Engine) -> None:
    design = engine.design
    one_line(lambda: ernn.Engine(model, 4), "must be a Design, .* not int")  # type: ignore[arg-type]
    one_line(lambda: ernn.Engine(model, design, "FPGA"), "no device called 'FPGA'")
    one_line(lambda: engine.verify([]), NO_FRAME)
    one_line(lambda: engine.verify(SPEECH, stall=1), "stall is a probability")
    one_line(ernn.Engine(model, design).build, "say which device to build for")
    one_line(lambda: engine.build("XCKU060"), "no open place and route")
    one_line(lambda: engine.build(grade=3), "comes in grades 6, 7, 8, not 3")


def test_what_runs_backward_is_no_stream_and_no_engine() -> None:
    both = ernn.convert(nn.GRU(INPUTS, 4, batch_first=True, bidirectional=True), SPEECH)
    assert both.predict(SPEECH[0]).shape == (12, 8)
    one_line(both.stream, "runs backward")
    one_line(lambda: ernn.Engine(both, ernn.Design(pes=1)).verify(SPEECH), "runs backward")


# --- the package


def test_the_package_loads_nothing_before_it_is_asked() -> None:
    code = "import sys, ernn; print(*{'numpy', 'torch', 'numba', 'amaranth'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == ""


def test_every_name_is_there_and_no_other() -> None:
    assert all(getattr(ernn, name) is not None for name in ernn.__all__)
    assert set(ernn.__all__) <= set(dir(ernn))
    with pytest.raises(AttributeError, match="module 'ernn' has no attribute 'converts'"):
        _ = ernn.converts  # type: ignore[attr-defined]
