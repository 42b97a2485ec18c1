"""Recipes: everything that leads from a corpus to a compressed network, as frozen values.

Chosen on validation examples alone; their test error rates are in docs/results.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from ernn.compress.plan import CompressionPlan, structures
from ernn.data.features import FeatureSpec
from ernn.errors import UserError
from ernn.ir.structure import Structure
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.train import stages
from ernn.train.fit import Trained
from ernn.train.solvers import ByAdmm, Direct, Gradual, OneShot, Rounding, Solver, Taught, compress
from ernn.train.spec import AdmmSpec, DataSpec, DistilSpec, TrainSpec
from ernn.train.task import Task


@dataclass(frozen=True)
class Recipe:
    """A network and the way to its compressed form.

    features, layers, dropout, front: the network. dense: its training. plan: the structure of
    its matrices. admm: training towards the plan's sets, with `solver` as ADMM's own values.
    retrain: training inside the sets afterwards. data: after that, training inside the sets
    with rounded data (None: there is none). distil: in all of these the network learns from the
    dense one too (None: it does not).
    """

    features: FeatureSpec
    layers: tuple[LayerSpec, ...]
    dropout: float
    plan: CompressionPlan
    dense: TrainSpec
    admm: TrainSpec
    solver: AdmmSpec
    retrain: TrainSpec
    front: int | None = None
    distil: DistilSpec | None = None
    data: DataSpec | None = None

    def with_seed(self, seed: int) -> "Recipe":
        """The same, begun from another point: initial weights, order, dropout and noise."""
        stages = {
            name: replace(getattr(self, name), seed=seed) for name in ("dense", "admm", "retrain")
        }
        return replace(self, **stages)

    def with_epochs(self, dense: int, admm: int, retrain: int) -> "Recipe":
        """The same, with other lengths."""
        return replace(
            self,
            dense=replace(self.dense, epochs=dense),
            admm=replace(self.admm, epochs=admm),
            retrain=replace(self.retrain, epochs=retrain),
        )

    @property
    def epochs(self) -> int:
        """Of all stages together: what training from the start inside the sets takes."""
        return self.dense.epochs + self.admm.epochs + self.retrain.epochs

    def without_noise(self) -> "Recipe":
        """The same with features as they are: noise on them is noise in what is said of them."""
        stages = {
            name: replace(getattr(self, name), noise=0.0) for name in ("dense", "admm", "retrain")
        }
        return replace(self, **stages)

    @property
    def by_admm(self) -> Solver:
        """This recipe's way into the sets."""
        return self.taught(ByAdmm(self.admm, self.retrain, self.solver))

    def taught(self, way: ByAdmm | OneShot | Direct | Gradual) -> Solver:
        """Another way with this recipe's rounding of data and its teacher, where it has them."""
        whole = Rounding(way, self.data) if self.data else way
        return Taught(whole, self.distil) if self.distil else whole

    def without_data(self, what: str) -> "Recipe":
        """The same; UserError if it rounds data, which `what` would undo by integers of its own."""
        if self.data is not None:
            raise UserError(
                f"{what} chooses formats of its own: leave [data] out of its recipe, `ernn "
                "compress` has it"
            )
        return self

    def model(self, task: Task) -> AcousticModel:
        """A fresh network for `task`, the same for the same seed."""
        torch.manual_seed(self.dense.seed)
        return AcousticModel(
            ModelSpec(task.inputs, self.layers, task.outputs, self.dropout, self.front)
        )

    def structures(self, model: nn.Module) -> dict[str, Structure]:
        """What `ernn.frontends.torch.import_torch` is told about the compressed model."""
        return structures(model, self.plan)

    def train_dense(self, model: nn.Module, task: Task, folder: Path | None = None) -> Trained:
        return stages.train_dense(model, task, self.dense, _inside(folder, "dense"))

    def compress(
        self, model: AcousticModel, task: Task, folder: Path | None = None
    ) -> tuple[Trained, ...]:
        """ADMM, training inside the sets, then with rounded data if wanted, of a model in place."""
        return compress(model, task, self.plan, self.by_admm, folder)


def _inside(folder: Path | None, stage: str) -> Path | None:
    return folder / stage if folder else None


_DIGITS = TrainSpec(epochs=24, batch=16, rate=6e-3, warmup=0.2, noise=0.2, masks=2, mask_frames=6)
_DIGITS_AFTER = replace(_DIGITS, rate=3e-3, warmup=0.1)

DIGITS = Recipe(
    features=FeatureSpec(kind="stored", deltas=1, stack=2, subsample=2),
    layers=(LayerSpec("gru", 128),),
    dropout=0.2,
    plan=CompressionPlan.blocks(8),
    dense=_DIGITS,
    admm=replace(_DIGITS_AFTER, epochs=14),
    solver=AdmmSpec(rho=2.0, growth=1.3),
    retrain=replace(_DIGITS_AFTER, epochs=14),
)
"""The demo's: connected digits, one GRU layer that fits a small device."""

_AN4 = TrainSpec(epochs=30, batch=16, rate=4e-3, warmup=0.2, noise=0.2, masks=2, mask_frames=4)
_AN4_AFTER = replace(_AN4, rate=3e-3, warmup=0.1)

AN4 = Recipe(
    features=FeatureSpec(kind="stored", deltas=2, stack=3, subsample=3),
    layers=(LayerSpec("gru", 256), LayerSpec("gru", 256)),
    dropout=0.3,
    plan=CompressionPlan.blocks(8, output=8),
    dense=_AN4,
    admm=replace(_AN4_AFTER, epochs=20),
    solver=AdmmSpec(rho=1.0, growth=1.3),
    retrain=replace(_AN4_AFTER, epochs=20),
)
"""AN4's phones: two GRU layers, every matrix in blocks of 8, the output layer's too."""

_SPEECHOCEAN = TrainSpec(
    epochs=18, batch=16, rate=8e-3, warmup=0.1, noise=0.3, masks=2, mask_frames=6, average=0.99
)

SPEECHOCEAN = Recipe(
    features=FeatureSpec(kind="mfcc", deltas=1, stack=6, subsample=6),
    layers=(LayerSpec("gru", 128),),
    dropout=0.3,
    plan=CompressionPlan.blocks(8),
    dense=_SPEECHOCEAN,
    admm=replace(_SPEECHOCEAN, epochs=3, average=0.0),
    solver=AdmmSpec(rho=50.0, growth=1.5),
    retrain=replace(_SPEECHOCEAN, epochs=9),
    distil=DistilSpec(),
)
"""speechocean762's phones: cepstra, with which CTC begins in half the
epochs of log-mel; 60 ms a frame.

Frames of 30 ms take twice as long and were no better after 8 epochs.
"""

_TIMIT = TrainSpec(epochs=40, batch=16, rate=2e-3, warmup=0.1, noise=0.1, masks=2, mask_frames=8)
_TIMIT_AFTER = replace(_TIMIT, rate=1e-3)

TIMIT = Recipe(
    features=FeatureSpec(kind="logmel", deltas=2, stack=2, subsample=2),
    layers=(LayerSpec("lstm", 1024, 512, peepholes=True),) * 2,
    dropout=0.3,
    plan=CompressionPlan.blocks(8),
    dense=_TIMIT,
    admm=replace(_TIMIT_AFTER, epochs=20),
    solver=AdmmSpec(rho=1.0, growth=1.3),
    retrain=replace(_TIMIT_AFTER, epochs=40),
)
"""TIMIT with the network of ESE, C-LSTM and E-RNN: two peephole LSTMs
of 1,024 units, projected to 512.

Not tuned: the corpus needs a licence and was not at hand.  Tests run it on a miniature.
"""

_OWN = TrainSpec(epochs=30, batch=16, rate=5e-3, warmup=0.1, noise=0.1, masks=0)
_OWN_AFTER = replace(_OWN, epochs=15, rate=3e-3)

OWN = Recipe(
    features=FeatureSpec(kind="stored"),
    layers=(LayerSpec("gru", 32),),
    dropout=0.1,
    plan=CompressionPlan.blocks(4),
    dense=_OWN,
    admm=_OWN_AFTER,
    solver=AdmmSpec(rho=1.0, growth=1.3),
    retrain=_OWN_AFTER,
)
"""A beginning for a user's own sequences: one small GRU layer."""
