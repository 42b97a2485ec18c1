"""Recipes: everything that leads from a corpus to a compressed network, as frozen values, and the way through them."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ernn.compress.plan import CompressionPlan, structures
from ernn.data.features import FeatureSpec
from ernn.nn.model import AcousticModel
from ernn.spec import LayerSpec, ModelSpec
from ernn.structure import Structure
from ernn.train.fit import Trained
from ernn.train.spec import AdmmSpec, TrainSpec
from ernn.train.stages import compress_by_admm, one_shot, retrain_inside, train_dense
from ernn.train.task import Task


@dataclass(frozen=True)
class Recipe:
    """features, layers and dropout make the network; dense, admm and retrain are the three stages; plan the structure.

    `solver`: ADMM's own values.
    """

    features: FeatureSpec
    layers: tuple[LayerSpec, ...]
    dropout: float
    plan: CompressionPlan
    dense: TrainSpec
    admm: TrainSpec
    solver: AdmmSpec
    retrain: TrainSpec

    def model(self, task: Task) -> AcousticModel:
        """A fresh network for `task`; the same for the same seed."""
        torch.manual_seed(self.dense.seed)
        return AcousticModel(ModelSpec(task.inputs, self.layers, task.outputs, self.dropout))

    def structures(self, model: nn.Module) -> dict[str, Structure]:
        """For `ernn.nn.importer.import_torch`, once the model is compressed."""
        return structures(model, self.plan)
