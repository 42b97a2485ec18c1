"""Every kind of file that a person or a disk may damage, and what the program does with it.

Values are changed as well as bytes; those of a model or network keep a valid digest.
"""

import io
import json
import random
import shutil
import tarfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from ernn.compress.plan import CompressionPlan
from ernn.data.an4 import CEPSTRA, read_cepstra
from ernn.data.audio import read_audio
from ernn.data.fsdd import Fsdd, connected_digits
from ernn.data.fsdd_files import Sound
from ernn.data.librispeech import LibriSpeech
from ernn.data.logmel import LogMel
from ernn.data.normalizer import Normalizer
from ernn.data.pronounce import read_pronunciations
from ernn.data.speechocean import SpeechOcean
from ernn.data.timit import read_phones
from ernn.errors import UserError
from ernn.flow.serial_link import Wire
from ernn.golden.compiled import Compiled
from ernn.golden.machine import Plain
from ernn.golden.run import run
from ernn.ir import serialization as codec
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Network
from ernn.ir.reference import run as run_floats
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.pipeline import chosen, compare, network, sequences, summary
from ernn.pipeline.run import STATE, Run
from ernn.quantization.quantize import QuantizeSpec
from ernn.report import page, series
from ernn.report.record import RunRecord
from ernn.scheduling.design import Design
from ernn.search.study import JOURNAL, open_study, pareto
from ernn.search.trial import RESULT as RESULT_FILE
from ernn.search.trial import Bench, DenseTrial
from ernn.search.watch import finished
from ernn.train import fit, weights
from ernn.train.recipe_file import load_recipe
from ernn.train.recipes import DIGITS
from ernn.train.spec import TrainSpec
from tests.data.miniature import riff, sphere, tone
from tests.fuzz.harness import Kind, Mutate
from tests.fuzz.mutate import (
    altered,
    as_json,
    as_lines,
    as_toml,
    damaged,
    with_other_numbers,
)
from tests.models import random_integer_model, random_network
from tests.report import synthetic_run

Array = np.ndarray
Use = Callable[[Path], Any]
Write = Callable[[Any], bytes]


def by_bytes(name: str, use: Use, *whole: bytes, file: str = "file") -> Kind:
    """Files whose bytes are changed."""
    return Kind(name, whole, [partial(damaged, one) for one in whole], use, file)


def by_values(name: str, use: Use, write: Write, *values: Any, file: str = "file") -> Kind:
    """Files of plain values, which are changed, or else the bytes."""
    whole = [write(value) for value in values]
    mutations: list[Mutate] = [partial(damaged, one) for one in whole]
    mutations += [partial(_written, write, value) for value in values]
    return Kind(name, whole, mutations, use, file)


def _written(write: Write, value: Any, chance: random.Random) -> bytes:
    return write(altered(value, chance))


# Models and networks


def tampered(value: Any, chance: random.Random) -> bytes:
    """Values or an array changed, and a digest that agrees."""
    tree, arrays = codec._encode(value)
    if chance.random() < 0.5:
        tree = altered(tree, chance)
    if chance.random() < 0.5:
        name = chance.choice(list(arrays))
        arrays[name] = _changed(arrays[name], chance)
    return _container(tree, arrays)


def _container(tree: Any, arrays: dict[str, Array]) -> bytes:
    """As `save` writes it, and of what it would refuse too: a NaN in the tree."""
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
    try:
        digest = codec._digest(tree, arrays)
    except ValueError:
        digest = ""
    made = {"format": codec._FORMAT, "tree": text, "digest": digest}
    return codec._container(made, {n: codec._narrowed(a) for n, a in arrays.items()})


def _changed(array: Array, chance: random.Random) -> Array:
    made = array.copy()
    match chance.randrange(6):
        case 0 if made.size:
            made = made.astype(np.int64 if made.dtype.kind == "i" else np.float64)
            extreme = _LARGE if made.dtype.kind == "i" else _EXTREME
            made.reshape(-1)[chance.randrange(made.size)] = chance.choice(extreme)
            return made
        case 1:
            return made.reshape(-1)
        case 2:
            return made[..., None]
        case 3:
            return made[:0] if made.ndim else made
        case 4:
            return made.astype(np.int64 if made.dtype.kind == "f" else np.float64)
    return np.concatenate([made, made]) if made.ndim else made


_LARGE = (0, -1, 1, 2**31, 2**62, -(2**63))
_EXTREME = (0.0, -0.0, 1e308, 1e-308, float("nan"), float("inf"))


def use_model(path: Path) -> None:
    """What two implementations make of it is equal."""
    model = codec.load(path, IntegerModel)
    codec.digest(model)
    if model.input.length > 1000:
        raise UserError("too large to be tried")
    frames = np.random.default_rng(0).integers(-100, 100, (3, model.input.length))
    frames = frames.clip(model.input.format.low, model.input.format.high)
    np.testing.assert_array_equal(run(model, frames, Plain), run(model, frames, Compiled))


def use_network(path: Path) -> None:
    found = codec.load(path, Network)
    run_floats(found, np.random.default_rng(0).normal(size=(3, found.input_size)))


def container(name: str, use: Use, *values: Any) -> Kind:
    """Files of models or networks: one damaged for two tampered with."""
    whole = [_container(*codec._encode(value)) for value in values]
    mutations: list[Mutate] = [partial(damaged, one) for one in whole]
    mutations += [partial(tampered, value) for value in values] * 2
    return Kind(name, whole, mutations, use)


def models() -> Kind:
    small = random_integer_model(np.random.default_rng(0), hidden=4, block=2, outputs=3)
    rng = np.random.default_rng(1)
    large = random_integer_model(rng, cell="gru", hidden=6, block=4, states=True, layers=2)
    return container("model", use_model, small, large)


def networks() -> Kind:
    small = random_network(np.random.default_rng(0), hidden=4, block=2, outputs=3)
    rng = np.random.default_rng(1)
    large = random_network(rng, "gru", hidden=6, bidirectional=True, states=True)
    return container("network", use_network, small, large)


# Runs


TASK = {
    "corpus": "digits",
    "title": "digits",
    "corpus_seed": 0,
    "identity": "0",
    "features": {"kind": "stored"},
}
MODEL = ModelSpec(3, (LayerSpec("gru", 4),), 2)
OPTIONS: Mapping[str, dict[str, Any]] = {
    "train": {"task": TASK, "model": MODEL.to_dict(), "train": TrainSpec().to_dict()},
    "compress": {"plan": CompressionPlan.blocks(8).to_dict(), "solver": "ADMM"},
    "quantize": {"spec": asdict(QuantizeSpec()), "utterances": 3},
    "design": {"device": "LFE5U-25F"},
}
DESIGN = {"device": "LFE5U-25F", **asdict(Design(pes=2, overlap=2))}


def small_record() -> RunRecord:
    """The report's own, with few frames and few bars."""
    record = synthetic_run.record()
    shown, planned = record.series("utterances") or {}, record.series("schedule") or {}
    items = [one | {"features": one["features"][:3]} for one in shown["items"]]
    record.set_series("utterances", shown | {"items": items})
    record.set_series("schedule", planned | {"bars": planned["bars"][:4]})
    return record


def a_run(folder: Path) -> Run:
    """With all that its commands read, but no network."""
    made = Run(folder)
    for step, options in OPTIONS.items():
        made.perform(step, options, lambda: None)
    small_record().save(folder / "record.json")
    (folder / chosen.DESIGN).write_text(json.dumps(DESIGN))
    return made


def use_run(path: Path) -> None:
    """What commands read of it, each by itself: one that refuses leaves the others to try."""
    found = Run.existing(path.parent)
    for read in (
        Run.seconds,
        Run.commands,
        summary.about,
        network.dense_model,
        network.compressed_model,
        sequences.prepared,
        chosen.chosen,
    ):
        try:
            read(found)
        except UserError as error:
            refused = error
        else:
            refused = None
    if refused:
        raise refused


def use_record(path: Path) -> None:
    """As the report does, without its pictures, which take too long for every mutation."""
    record = RunRecord.load(path)
    RunRecord.from_json(record.to_json())
    for kind in series.Series.__args__:
        series.take(record, kind)


def use_drawn(path: Path) -> None:
    page.render(RunRecord.load(path))


def use_design(path: Path) -> None:
    chosen.chosen(Run(path.parent))


# Recipes


RECIPE = {
    "dropout": 0.2,
    "front": 8,
    "layers": [{"cell": "lstm", "hidden": 16, "projection": 8}, {"cell": "gru", "hidden": 8}],
    "plan": {"recurrent": 8, "input": {"block": 8, "pad": True}, "output": {"density": 0.5}},
    "dense": {"epochs": 3, "rate": 0.01},
    "solver": {"rho": 2.0},
    "distil": {"labels": 0.3},
    "data": {"cell": 8, "epochs": 2},
    "features": {"kind": "logmel", "deltas": 1, "stack": 2},
}
GRID = {"kind": "Uniform", "bits": 4}
PLAN = {
    "recurrent": {"kind": "LowRank", "rank": 4},
    "input": {"kind": "Quantized", "inner": {"kind": "BlockCirculant", "block": 4}, "grid": GRID},
    "overrides": {"a.b": {"kind": "BlockCirculant", "block": 4}},
}


def use_recipe(path: Path) -> None:
    recipe = load_recipe(path, DIGITS)
    recipe.plan.to_dict()
    recipe.with_seed(1).with_epochs(1, 1, 1)
    ModelSpec(3, recipe.layers, 4, recipe.dropout, recipe.front).to_dict()


# Sound


def sound(container: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tone(0.05), 16000, format=container)
    return file.getvalue()


def use_sound(path: Path) -> None:
    samples, rate = read_audio(path)
    assert samples.dtype == np.float32 and samples.ndim == 1 and rate > 0
    assert np.isfinite(samples).all()


# Features and lists


def archive(compressed: bool, named: Mapping[str, Array]) -> bytes:
    file, write = io.BytesIO(), np.savez_compressed if compressed else np.savez
    write(file, **named)  # type: ignore[arg-type]
    return file.getvalue()


def by_arrays(name: str, use: Use, named: Mapping[str, Array]) -> Kind:
    """Archives whose bytes are changed, or one of whose arrays is, in an archive that is whole."""
    whole = [archive(compressed, named) for compressed in (False, True)]
    mutations: list[Mutate] = [partial(damaged, one) for one in whole]
    return Kind(name, whole, [*mutations, partial(_one_changed, named)], use)


def _one_changed(named: Mapping[str, Array], chance: random.Random) -> bytes:
    name = chance.choice(list(named))
    return archive(False, {**named, name: _changed(named[name], chance)})


def digits() -> dict[str, Array]:
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 3, 300)
    X = rng.normal(size=(lengths.sum(), 13)).astype(np.float16)
    return {"X": X, "y": (np.arange(300) % 10).astype(np.int8), "lengths": lengths}


def use_digits(path: Path) -> None:
    for split in ("train", "validation", "test"):
        for utterance in connected_digits(path=path).utterances(split):
            utterance.features()


def lines(folder: Path) -> list[dict[str, str]]:
    """Of speechocean762, whose sound is there."""
    made = []
    for number in range(4):
        soundfile.write(folder / f"{number}.flac", tone(0.05), 16000)
        item = {"id": f"u{number}", "speaker": f"s{number}", "path": f"{number}.flac"}
        made.append(item | {"phones": "IH T S"})
    return made


def use_lines(path: Path) -> None:
    shutil.copyfile(path, path.with_name("train.jsonl"))
    corpus = SpeechOcean(path.parent, held_out=1)
    for split in ("train", "validation", "test"):
        for utterance in corpus.utterances(split):
            utterance.samples()
    assert corpus.identity


DICTIONARY = b";;; comment\nONE  W AH1 N\nTWO T UW1\nTWO(2) T UW0\nTHREE TH R IY1\n"
TRANSCRIPT = b"1-2-0000 ONE TWO\n1-2-0001 THREE\n"
PHONES = b"0 100 h#\n100 400 iy\n400 700 sh\n700 800 h#\n"


def use_transcript(path: Path) -> None:
    folder = path.parent / "train-clean" / "1" / "2"
    if not folder.exists():
        folder.mkdir(parents=True)
        (path.parent / "words").write_bytes(DICTIONARY)
        for number in range(2):
            soundfile.write(folder / f"1-2-{number:04}.flac", tone(0.05), 16000)
    shutil.copyfile(path, folder / "1-2.trans.txt")
    corpus = LibriSpeech(path.parent, path.parent / "words", "leave out")
    for utterance in corpus.utterances("train"):
        utterance.samples()
    assert corpus.description and corpus.identity


WIRE = {"inputs": 3, "outputs": [2, 4], "bits": 12, "line": 2, "streams": 2, "baud": 115200}


def recordings(mode: str) -> bytes:
    """An archive of FSDD, of the digits that a split needs."""
    file = io.BytesIO()
    with tarfile.open(None, mode, file) as made:  # type: ignore[call-overload]
        for number in range(40):
            content = riff(tone(0.02, 8000, number), 8000)
            member = tarfile.TarInfo(f"recordings/{number % 10}_ann_{number // 10}.wav")
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return file.getvalue()


def use_recordings(path: Path) -> None:
    corpus = Fsdd(Sound(path), "recording", strings=None)
    for utterance in corpus.utterances("train"):
        utterance.samples()
    assert corpus.identity


LABELS = [
    {"id": f"u{n}", "speaker": "s", "split": split, "frames": 3, "offset": 0, "phones": "AA B"}
    for n, split in enumerate(("train", "valid", "test"))
]


def stored_features(folder: Path) -> bytes:
    """A corpus of them, and what each split's frames are packed to."""
    packed = zlib.compress(np.arange(12, dtype=np.uint8).tobytes())
    (folder / "feats").mkdir()
    for split in ("train", "valid", "test"):
        (folder / "feats" / f"{split}.z").write_bytes(packed)
    (folder / "labels.jsonl").write_bytes(as_lines(LABELS))
    return packed


def of_labels(folder: Path) -> Kind:
    stored_features(folder)
    return by_values("labels", use_logmel, as_lines, LABELS, file="labels.jsonl")


def of_packed(folder: Path) -> Kind:
    return by_bytes("packed", use_logmel, stored_features(folder), file="feats/train.z")


def use_logmel(path: Path) -> None:
    corpus = LogMel(path.parent if path.suffix == ".jsonl" else path.parent.parent)
    for split in ("train", "validation", "test"):
        for utterance in corpus.utterances(split):
            assert np.isfinite(utterance.features()).all()
    assert corpus.description and corpus.identity


def of_cepstra(folder: Path) -> Kind:
    frames = np.random.default_rng(0).normal(size=(5, CEPSTRA)).astype("<f4")
    content = np.array([frames.size], "<i4").tobytes() + frames.tobytes()
    return by_bytes("cepstra", read_cepstra, content)


def of_run(folder: Path) -> Kind:
    values = json.loads(a_run(folder).path(STATE).read_text())
    return by_values("run", use_run, as_json, values, file=STATE)


def of_record(folder: Path) -> Kind:
    return by_values("record", use_record, as_json, json.loads(small_record().to_json()))


def of_drawn(folder: Path) -> Kind:
    """Records whose types are right and whose numbers are not, to be drawn: half a second each."""
    values = json.loads(small_record().to_json())

    def mutate(chance: random.Random) -> bytes:
        return as_json(with_other_numbers(values, chance))

    return Kind("drawn", [as_json(values)], [mutate], use_drawn)


def of_design(folder: Path) -> Kind:
    a_run(folder)
    return by_values("design", use_design, as_json, DESIGN, file=chosen.DESIGN)


def of_wav(folder: Path) -> Kind:
    return by_bytes("wav", use_sound, riff(tone(0.05)), sound("RF64"), sound("W64"))


def of_normalizer(folder: Path) -> Kind:
    named = {"mean": np.zeros(3, np.float32), "deviation": np.ones(3, np.float32)}
    return by_arrays("normalizer", Normalizer.load, named)


def of_weights(folder: Path) -> Kind:
    content = weights.save_weights(folder / "weights", AcousticModel(MODEL)).read_bytes()
    return by_bytes("weights", partial(weights.network, MODEL), content)


RESULT = {
    "name": "pruned", "family": "sparsity", "times": 4.0, "bits": 900, "multiplications": 90,
    "cycles": 20.5, "cycles_kind": "predicted", "cpu_seconds": 1.5, "percent": 12.5, "tokens": 99,
    "plan": CompressionPlan.blocks(8).to_dict(),
}  # fmt: skip
TRIAL = {
    "result": {"name": "a", "validation": 3.0, "epochs": 2, "seconds": 1.0, "course": [4.0, 3.0]},
    "trial": {"model": MODEL.to_dict()},
}
COURSE = {"kbit": 9.5, "cycles": 20.0, "validation": [4.0, 3.0]}


def use_trial(path: Path) -> None:
    trial = DenseTrial(MODEL, TrainSpec())
    bench = Bench(path.parent, None, "", progress=False)  # type: ignore[arg-type]
    place = path.parent / bench.name(trial)
    place.mkdir(exist_ok=True)
    shutil.copyfile(path, place / RESULT_FILE)
    assert bench.known(trial) is not None


def of_checkpoint(folder: Path) -> Kind:
    file = io.BytesIO()
    torch.save({"state_dict": AcousticModel(MODEL).state_dict(), "epoch": 3}, file)
    return by_bytes("checkpoint", fit._can_be_read, file.getvalue())


def of_journal(folder: Path) -> Kind:
    made = open_study(folder)
    for _ in range(3):
        trial = made.ask()
        trial.suggest_categorical("cell", ["lstm", "gru"])
        made.tell(trial, [1.0, 2.0, 3.0])
    return by_bytes("journal", use_journal, (folder / JOURNAL).read_bytes(), file=JOURNAL)


def use_journal(path: Path) -> None:
    pareto(open_study(path.parent))


KINDS: dict[str, Callable[[Path], Kind]] = {
    "model": lambda folder: models(),
    "network": lambda folder: networks(),
    "record": of_record,
    "run": of_run,
    "weights": of_weights,
    "checkpoint": of_checkpoint,
    "journal": of_journal,
    "trial": lambda _: by_values("trial", use_trial, as_json, TRIAL),
    "result": lambda _: by_values("result", compare._result, as_json, RESULT, file="a.json"),
    "course": lambda _: by_values(
        "course", lambda path: finished(path.parent), as_json, COURSE, file="a.json"
    ),
    "design": of_design,
    "recipe": lambda _: by_values("recipe", use_recipe, as_toml, RECIPE, {"plan": PLAN}),
    "wav": of_wav,
    "flac": lambda _: by_bytes("flac", use_sound, sound("FLAC")),
    "sphere": lambda _: by_bytes("sphere", use_sound, sphere(tone(0.05))),
    "npz": lambda _: by_arrays("npz", use_digits, digits()),
    "normalizer": of_normalizer,
    "jsonl": lambda folder: by_values(
        "jsonl", use_lines, as_lines, lines(folder), file="test.jsonl"
    ),
    "dictionary": lambda _: by_bytes("dictionary", read_pronunciations, DICTIONARY),
    "transcript": lambda _: by_bytes("transcript", use_transcript, TRANSCRIPT),
    "recordings": lambda _: by_bytes(
        "recordings", use_recordings, recordings("w:gz"), recordings("w:")
    ),
    "cepstra": of_cepstra,
    "labels": of_labels,
    "packed": of_packed,
    "wire": lambda _: by_values("wire", Wire.load, as_json, WIRE),
    "phones": lambda _: by_bytes("phones", read_phones, PHONES),
}
"""Each made in a folder of its own, where its files are to be tried."""
SLOW: dict[str, Callable[[Path], Kind]] = {"drawn": of_drawn}
"""Of which fewer mutations are tried: one for fifty."""
