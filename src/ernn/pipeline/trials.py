"""What a trial of the general search does: train, compress, make integer, count errors."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ernn.compress.plan import CompressionPlan
from ernn.data.open import named, open_corpus
from ernn.errors import UserError
from ernn.estimate.device import find_device
from ernn.files import write_once
from ernn.ground.reading import read_text, whole_number
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.pipeline.defaults import recipe_for
from ernn.pipeline.network import integer_rate, integers_of
from ernn.pipeline.phase1 import predictor, task_identity
from ernn.quantization.quantize import QuantizeSpec
from ernn.search.cost import cost
from ernn.search.study import Choice, Outcome
from ernn.search.trial import Bench, CompressedTrial, DenseTrial
from ernn.search.watch import Course, PrunedError, Watch, finished
from ernn.train.callbacks import watched_by
from ernn.train.recipes import Recipe
from ernn.train.task import Prepared


@dataclass(frozen=True)
class TrialJob:
    """Everything a worker needs: `folder` must be the same one on every machine.

    epochs, towards, inside: of dense training, ADMM, and training inside the sets; None is the
    recipe's. margin: points by which a cheaper trial must have been better to end one early.
    """

    folder: Path
    corpus: str
    root: Path | None
    device: str
    streams: int = 2
    seed: int = 0
    epochs: int | None = None
    towards: int | None = None
    inside: int | None = None
    margin: float = 2.0
    recipe: Path | None = None

    def check(self) -> None:
        """UserError if the corpus, the device or the recipe is missing, before time is spent."""
        find_device(self.device)
        _prepared(self)

    def __call__(self, choice: Choice) -> Outcome:
        """Errors of the integers on validation examples, bits of weights and states, cycles."""
        data, recipe = _prepared(self)
        layer = LayerSpec(choice.cell, choice.hidden)
        model = ModelSpec(
            data.task.inputs,
            (layer,) * choice.layers,
            data.task.outputs,
            recipe.dropout,
            recipe.front,
        )
        plan, bits = _plan(choice.block), QuantizeSpec(choice.weight_bits)
        kbit = cost(model, plan, bits.weight_bits, bits.data_bits).bits / 1024
        device = find_device(self.device)
        if kbit > device.block_ram.value + device.ultra_ram.value:
            return Outcome(stopped=f"does not fit {device.name}: {kbit:.0f} kbit")
        predicted = predictor(device, self.streams, bits)(model, plan)
        if predicted is None:
            return Outcome(
                stopped=f"does not fit {device.name}: {kbit:.0f} kbit, and no engine of this shape"
            )
        return self._train(model, choice.block, bits, kbit, predicted.cycles_per_frame)

    def _train(
        self, model: ModelSpec, block: int, bits: QuantizeSpec, kbit: float, cycles: float
    ) -> Outcome:
        data, recipe = _prepared(self)
        bench = Bench(self.folder / "trials", data.task, task_identity(data), progress=False)
        dense = DenseTrial(model, recipe.dense)
        bench.result(dense)
        trial = self._from_nearest(bench, dense, block, recipe)
        after = recipe.admm.epochs + recipe.retrain.epochs // 3
        watch = Watch(kbit, cycles, finished(self.folder / "courses"), after, self.margin)
        try:
            with watched_by(watch):
                result = bench.result(trial)
        except PrunedError as reason:
            return Outcome(stopped=str(reason))
        Course(kbit, cycles, result.course).save(
            self.folder / "courses" / f"{result.name}-{bits.weight_bits}.json"
        )
        error = integer_rate(
            integers_of(bench.network(trial), _plan(block), bits, data),
            data.task.validation,
            data.objective,
        )
        return Outcome(error.percent, kbit, cycles)

    def _from_nearest(
        self, bench: Bench, dense: DenseTrial, block: int, recipe: Recipe
    ) -> CompressedTrial:
        """From the trained network of the nearest smaller block size; blocks of 1 are dense.

        Which one that was is kept, so that a search that is started again goes the same way.
        """
        folder = self.folder / "warm" / bench.name(dense)

        def trial(block: int) -> CompressedTrial:
            start = whole_number(read_text(folder / str(block)), str(folder / str(block)))
            if start >= block:
                raise UserError(f"{folder / str(block)} is damaged: remove {folder}")
            return CompressedTrial(
                dense if start == 1 else trial(start), _plan(block), recipe.by_admm
            )

        known = [int(path.name) for path in folder.glob("[0-9]*")]
        trained = [one for one in known if one < block and bench.known(trial(one))]
        write_once(folder / str(block), str(max(trained, default=1)))
        return trial(block)


def _plan(block: int) -> CompressionPlan:
    return CompressionPlan.blocks(block, output=block)


@cache
def _prepared(job: TrialJob) -> tuple[Prepared, Recipe]:
    """The corpus is read once a process."""
    corpus = open_corpus(*named(job.corpus, job.root))
    recipe = recipe_for(corpus, job.recipe).without_data("a search").with_seed(job.seed)
    epochs = (
        job.epochs or recipe.dense.epochs,
        job.towards or recipe.admm.epochs,
        job.inside or recipe.retrain.epochs,
    )
    recipe = recipe.with_epochs(*epochs)
    return Prepared(corpus, recipe.features), recipe
