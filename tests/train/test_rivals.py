"""Every method keeps to its budget and fits its network."""

from types import ModuleType

import pytest

from ernn.compress.plan import CompressionPlan, matrices
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.search.rivals import BITS, PADDING, RIVALS, SCALES, entry, recurrent_bits
from tests.scripts import loaded

MODELS = [
    ModelSpec(39, (LayerSpec("gru", 64), LayerSpec("gru", 64)), 20),
    ModelSpec(24, (LayerSpec("lstm", 64, 32, peepholes=True),), 10),
]


@pytest.mark.parametrize("model", MODELS, ids=["gru", "lstm"])
@pytest.mark.parametrize("times", [4.0, 16.0])
def test_every_method_keeps_to_its_budget_and_fits(model: ModelSpec, times: float) -> None:
    budget = recurrent_bits(model, CompressionPlan()) / times
    found = {
        name: made
        for name, rival in RIVALS.items()
        if (made := entry(rival, model, times)) is not None
    }
    assert len(RIVALS) >= 30 and len(found) >= (28 if times == 4 else 20)
    for name, made in found.items():
        network = AcousticModel(made.model)
        stored = [m for m in matrices(network, made.plan) if m.role != "output"]
        bits = sum(m.structure.bits(tuple(m.weight.shape), BITS) for m in stored)
        assert bits == made.bits <= budget * (PADDING if made.rival.common else SCALES), name
        if (
            made.rival.family not in ("quantization", "block-circulant")
            and made.rival.candidates is None
        ):
            assert made.bits > 0.5 * budget, name


def benchmark() -> ModuleType:
    return loaded("benchmarks/compare.py")
