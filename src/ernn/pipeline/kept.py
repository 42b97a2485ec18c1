"""What a run keeps for whoever uses its network: integers, floats, and how features are normalised.

Nothing here needs the extras: neither torch nor the hardware language.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ernn.golden.boundary import quantize_inputs
from ernn.ir import serialization as codec
from ernn.ir.integer_model import IntegerModel
from ernn.pipeline.run import Run
from ernn.report.series import Precision, take

if TYPE_CHECKING:
    from ernn.data.batches import Example

GIVEN = "frames.npz"
"""Of an imported network: what its accelerator is given of each of the sequences."""
NETWORK, MODEL = "network.safetensors", "model.safetensors"
NORMALIZER, TARGETS = "normalizer.npz", "targets.npz"


def model_of(run: Run) -> IntegerModel:
    """The network in integers; UserError where `ernn quantize` is still to be done."""
    if not run.done("import"):
        run.options("quantize")
    return codec.load(run.path(MODEL), IntegerModel)


def concern(run: Run) -> str:
    """What `ernn quantize` found wrong with its integers, in a line; empty where all is well."""
    found = take(run.record, Precision)
    return "" if found is None else found.concern


def integer_utterances(model: IntegerModel, examples: "Sequence[Example]") -> list[np.ndarray]:
    """Features of examples as the model's input integers (time, inputs)."""
    return quantize_inputs(model, [example.features for example in examples])
