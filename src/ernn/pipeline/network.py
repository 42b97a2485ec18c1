"""From speech to integers: train, compress, quantize, evaluate, each over a run directory."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ernn.compress.hidden_units import narrowed
from ernn.compress.plan import CompressionPlan, matrices, structures
from ernn.data.batches import Example
from ernn.data.corpus import Corpus
from ernn.data.features import FeatureSpec, extract
from ernn.data.objective import Objective
from ernn.errors import UserError
from ernn.frontends.torch import import_torch
from ernn.golden.boundary import dequantize_output
from ernn.golden.compiled import Compiled
from ernn.golden.fewest_bits import fewest_bits
from ernn.golden.least_error import least_error
from ernn.golden.precision import judged
from ernn.golden.run import run_all
from ernn.ir import serialization as codec
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Network
from ernn.ir.precision import LIMIT
from ernn.nn.model import AcousticModel, require_memory
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.pipeline import answers, figures, sequences
from ernn.pipeline.kept import (
    MODEL,
    NETWORK,
    NORMALIZER,
    TARGETS,
    integer_utterances,
    model_of,
)
from ernn.pipeline.run import Outcome, Run, digest
from ernn.quantization.quantize import QuantizeSpec, quantize
from ernn.report.record import Measurement
from ernn.report.series import Convergence, MatrixConvergence, Sizes, put
from ernn.train import solvers, stages, weights
from ernn.train.decode import answer, greedy
from ernn.train.fit import Trained
from ernn.train.score import Score, score
from ernn.train.solvers import Solver, to_dict
from ernn.train.spec import TrainSpec
from ernn.train.task import Prepared

DENSE, COMPRESSED = "dense.safetensors", "compressed.safetensors"
FORMATS = "formats.safetensors"  # a model in integers: the formats of data that training rounded to
Weights = Mapping[str, Tensor]
TORCH = f"torch {torch.__version__}"
CALIBRATION = 100  # utterances from which `integers_of` takes formats
CHECKED = 20  # utterances of validation that integers are compared with floats on


def train(
    run: Run,
    corpus: Corpus,
    task: dict[str, Any],
    layers: tuple[LayerSpec, ...],
    dropout: float,
    spec: TrainSpec,
    *,
    front: int | None = None,
    progress: bool = True,
    trained: Weights | None = None,
) -> Outcome:
    """Train a dense network on `corpus`; `task` describes it (`ernn.pipeline.sequences.describe`).

    `front`: as in `ModelSpec`. `trained`: what this same training gave before, to be used again.
    """
    data = Prepared(corpus, FeatureSpec(**task["features"]))
    inputs = extract(data.features, corpus.utterances("train")[0]).shape[1]
    model = ModelSpec(inputs, layers, data.objective.outputs, dropout, front)
    require_memory(model)
    options = {"task": task, "model": model.to_dict(), "train": spec.to_dict()}

    def work() -> None:
        torch.manual_seed(spec.seed)
        module = AcousticModel(model)
        if trained is not None:
            module.load_state_dict(trained)
        else:
            with _checkpoints(run, "dense", options) as folder:
                stages.train_dense(module, data.task, spec, folder, progress)
        _remove_later(run, NETWORK, MODEL)
        weights.save_weights(run.path(DENSE), module)
        data.normalizer.save(run.path(NORMALIZER))
        if data.targets is not None:
            data.targets.save(run.path(TARGETS))
        figures.put_score(run.record, "dense", data.score(module), _by(data, TORCH))

    return run.perform("train", options, work, writes=[DENSE, NORMALIZER])


def compress(
    run: Run,
    plan: CompressionPlan,
    solver: Solver,
    *,
    units: Sequence[int] | None = None,
    progress: bool = True,
    trained: Weights | None = None,
) -> Outcome:
    """Bring the dense network, cut to `units` in each layer, into the sets of `plan` by `solver`.

    `trained` as for `train`. The step's options have the `model` that a cut network is."""
    options = {"plan": plan.to_dict(), **to_dict(solver)}
    if units is not None:
        options["model"] = _dense_spec(run).with_units(units).to_dict()

    def work() -> None:
        module = narrowed(dense_model(run), units)
        matrices(module, plan)  # a plan that does not fit says so before the corpus is read
        data = sequences.prepared(run)
        if trained is not None:
            module.load_state_dict(trained)
            residuals, formats = (), None
        else:
            with _checkpoints(run, "compress", options) as folder:
                done = solvers.compress(module, data.task, plan, solver, folder, progress)
            residuals, formats = _residuals(done[0]), done[-1].formats
        network = import_torch(
            module, torch.zeros(1, 8, data.task.inputs), structures=structures(module, plan)
        ).network
        _remove_later(run, MODEL)
        weights.save_weights(run.path(COMPRESSED), module)
        codec.save(run.path(NETWORK), network)
        _save_formats(run.path(FORMATS), formats)
        figures.put_score(run.record, "compressed", data.score(module), _by(data, TORCH))
        _record_size(run, network)
        if residuals:
            put(
                run.record,
                Convergence(
                    "measured", "ernn.compress.admm, ‖W−Z‖/‖W‖ after each update", residuals
                ),
            )

    return run.perform(
        "compress",
        options,
        work,
        reads=[DENSE],
        writes=[COMPRESSED, NETWORK, *([FORMATS] if solvers.rounds(solver) else [])],
    )


def quantize_network(
    run: Run,
    spec: QuantizeSpec,
    utterances: int,
    limit: float = LIMIT,
    error: float | None = None,
) -> Outcome:
    """The compressed network in integers, formats from the first training `utterances`; their error
    on frames of validation, which is a concern beyond `limit`.

    error: in the place of `spec`, the fewest bits with which the outputs are off by no more, found
        on other frames of validation.

    A network whose data were rounded in training gets the formats that it was trained with: then
    `spec` must leave those of single kinds of data open.
    """
    options = {"spec": asdict(spec), "utterances": utterances, "limit": limit, "error": error}
    trained = run.path(FORMATS).exists()
    if trained and spec.data.given:
        raise UserError(
            "the network was trained with bits for its data: leave the bits of single kinds out"
        )

    if trained and error is not None:
        raise UserError("the network was trained with bits for its data: leave --error out")

    def work() -> None:
        network = codec.load(run.path(NETWORK), Network)
        task = sequences.prepared(run).task
        like = codec.load(run.path(FORMATS), IntegerModel) if trained else None
        typical = _features(task.train[:utterances])
        others = _features(task.validation[CHECKED:]) or _features(task.validation)
        unseen = _features(task.validation[:CHECKED])
        if like is not None:
            model, bits = judged(network, quantize(network, typical, spec, like), unseen), spec
        elif error is None:
            model, bits = least_error(network, typical, unseen, spec, limit)
        else:
            found = fewest_bits(network, typical, others, error)
            model, bits = judged(network, found.integers(network, typical), unseen), found.spec
        codec.save(run.path(MODEL), model)
        _record_model(run, network, model, bits)
        assert model.error is not None
        tool = f"golden against float64, {len(unseen)} utterances of validation"
        figures.put_precision(run.record, model.error, limit, tool)

    return run.perform(
        "quantize", options, work, reads=[NETWORK, *([FORMATS] if trained else [])], writes=[MODEL]
    )


def evaluate(run: Run, shown: int = 2) -> Outcome:
    """Golden's error rate on the whole test split; `shown` utterances go to the report."""

    def work() -> None:
        model, data = model_of(run), sequences.prepared(run)
        scores = run_all(model, integer_utterances(model, data.test), Compiled)
        outputs = [dequantize_output(model, integers) for integers in scores]
        found = score_of(data.test, outputs, data.objective)
        figures.put_score(run.record, "integer", found, _by(data, answers.TOOL))
        answers.put_answers(run.record, data, outputs, found, shown)

    return run.perform("evaluate", {"shown": shown}, work, reads=[MODEL])


def integers_of(
    model: AcousticModel,
    plan: CompressionPlan,
    spec: QuantizeSpec,
    data: Prepared,
    formats: IntegerModel | None = None,
) -> IntegerModel:
    """A network that lies in the sets of `plan`, made integer on training utterances.

    `formats`: those that its data were rounded to in training."""
    network = import_torch(
        model, torch.zeros(1, 8, data.task.inputs), structures=structures(model, plan)
    ).network
    return quantize(network, _features(data.task.train[:CALIBRATION]), spec, formats)


def _features(examples: Sequence[Example]) -> list[np.ndarray]:
    return [example.features.astype(np.float64) for example in examples]


def integer_rate(model: IntegerModel, examples: Sequence[Example], objective: Objective) -> Score:
    """Score of the integers on `examples`, by golden."""
    integers = run_all(model, integer_utterances(model, examples), Compiled)
    return score_of(examples, [dequantize_output(model, one) for one in integers], objective)


def score_of(
    examples: Sequence[Example], outputs: Sequence[np.ndarray], objective: Objective
) -> Score:
    """Of outputs (frames, outputs) of each example, in the network's own numbers."""
    return score(objective, examples, [answer(objective, one, greedy) for one in outputs])


def _by(data: Prepared, tool: str) -> str:
    return f"{tool}, {data.objective.reading} of the test split"


@contextmanager
def _checkpoints(run: Run, name: str, options: dict[str, Any]) -> Iterator[Path]:
    """A folder for checkpoints of exactly these options, removed once the stage is finished."""
    folder = run.path("checkpoints") / f"{name}-{digest(options)[:12]}"
    yield folder
    shutil.rmtree(run.path("checkpoints"), ignore_errors=True)


def _residuals(trained: Trained) -> tuple[MatrixConvergence, ...]:
    names = list(dict.fromkeys(residual.matrix for residual in trained.residuals))
    values = {
        name: tuple(r.primal for r in trained.residuals if r.matrix == name) for name in names
    }
    return tuple(MatrixConvergence(name, primal) for name, primal in values.items())


def dense_model(run: Run) -> AcousticModel:
    """The dense network of a run, as it was trained."""
    return weights.network(_dense_spec(run), run.path(DENSE))


def compressed_model(run: Run) -> AcousticModel:
    """The network of a run after compression, its matrices decoded."""
    cut = "model" in run.options("compress")
    spec = run.option("compress", "model", ModelSpec) if cut else _dense_spec(run)
    return weights.network(spec, run.path(COMPRESSED))


def _dense_spec(run: Run) -> ModelSpec:
    return run.option("train", "model", ModelSpec)


def _remove_later(run: Run, *names: str) -> None:
    """Files that follow from what is about to be written: nobody shall take them for its own."""
    for name in names:
        run.path(name).unlink(missing_ok=True)


def _save_formats(path: Path, formats: IntegerModel | None) -> None:
    path.unlink(missing_ok=True)
    if formats is not None:
        codec.save(path, formats)


def _record_size(run: Run, network: Network) -> None:
    dense, compressed = (
        figures.dense_row(_dense_spec(run)),
        figures.size_row("compressed", network, 32),
    )
    counted = "counted from the network, padding included"
    ratio = dense.recurrent_weights / compressed.recurrent_weights
    run.record.set(
        "compression.weights", Measurement(compressed.weights, "weights", "measured", counted)
    )
    run.record.set(
        "compression.dense_weights", Measurement(dense.weights, "weights", "measured", counted)
    )
    note = (
        f"recurrent layers: {dense.recurrent_weights} dense, {compressed.recurrent_weights} stored"
    )
    run.record.set(
        "compression.ratio", Measurement(round(ratio, 4), "×", "measured", counted, note=note)
    )
    put(run.record, Sizes("measured", counted, (dense, compressed)))


def _record_model(run: Run, network: Network, model: IntegerModel, spec: QuantizeSpec) -> None:
    dense, compressed = (
        figures.dense_row(_dense_spec(run)),
        figures.size_row("compressed", network, 32),
    )
    bits = figures.mean_bits(network, spec)
    rows = (dense, compressed, figures.size_row("integer", network, bits))
    put(run.record, Sizes("measured", "counted from the network, padding included", rows))
    figures.put_integers(run.record, network, model, spec)
    figures.put_hosted(run.record, 1.0, ())
