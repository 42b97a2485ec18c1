"""An integer model of the right shapes with random weights: enough for a schedule."""

import numpy as np
import torch

from ernn.compress import inside
from ernn.compress.plan import CompressionPlan, structures
from ernn.frontends.torch import import_torch
from ernn.ir.integer_model import IntegerModel
from ernn.nn.model import AcousticModel
from ernn.nn.spec import ModelSpec
from ernn.quantization.quantize import QuantizeSpec, quantize


def shape_model(model: ModelSpec, plan: CompressionPlan, spec: QuantizeSpec) -> IntegerModel:
    """An untrained network in integers: its cycles are those of any network of the same shapes.

    Raises UserError where hardware cannot run the plan.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = AcousticModel(model)
    inside.project_once(network, plan)
    example = torch.zeros(1, 4, model.input_size)
    found = import_torch(network, example, structures=structures(network, plan)).network
    frames = np.random.default_rng(0).standard_normal((8, model.input_size))
    return quantize(found, [frames], spec)
