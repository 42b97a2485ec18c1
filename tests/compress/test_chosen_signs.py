"""Signs that lose least: never more than none, and as much as any where all can be tried."""

from itertools import product

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ernn.compress import sets
from ernn.compress.plan import CompressionPlan, compressed
from ernn.compress.signs import chosen, with_signs
from ernn.ir.structure import BlockCirculant, Signed
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec, ModelSpec


def kept(weights: list[Tensor], block: int, signs: str) -> float:
    structure = Signed(BlockCirculant(block, pad=True), signs=signs)
    return sum(float(sets.project(weight, structure).square().sum()) for weight in weights)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from([2, 4, 8, 16]), st.integers(1, 3))
def test_never_worse_than_no_signs(seed: int, block: int, count: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, 2 * block, 3 * block)
    weights = [torch.randn(shape, generator=generator).double() for _ in range(count)]
    plain = kept(weights, block, "+" * shape[-1])
    assert kept(weights, block, chosen(weights, block)) >= plain - 1e-9


def test_near_the_best_of_all_signs() -> None:
    generator = torch.Generator().manual_seed(3)
    weights = [torch.randn((1, 8, 4), generator=generator).double() for _ in range(2)]
    best = max(kept(weights, 4, "".join(signs)) for signs in product("+-", repeat=4))
    assert kept(weights, 4, chosen(weights, 4)) > 0.95 * best


def test_signs_that_were_hidden_are_found() -> None:
    """Of a matrix that is in the set with some signs, nothing is lost."""
    torch.manual_seed(5)
    structure = Signed(BlockCirculant(8, pad=True), seed=7)
    weight = sets.project(torch.randn(3, 40, 20).double(), structure)
    found = Signed(structure.inner, signs=chosen([weight], 8))
    torch.testing.assert_close(sets.project(weight, found), weight)


def test_what_reads_a_signal_gets_the_same_signs() -> None:
    torch.manual_seed(0)
    model = AcousticModel(ModelSpec(12, (LayerSpec("gru", 16), LayerSpec("lstm", 16)), 5))
    plan = with_signs(model, CompressionPlan.blocks(4, output=4, signed=True))
    found = {one.name: one.structure for one in compressed(model, plan)}
    first, second = "recurrent.0.weight_hh_l0", "recurrent.1.weight_ih_l0"
    assert found[first] == found[second] and len(set(found.values())) == 3
    assert found["recurrent.1.weight_hh_l0"] == found["output.weight"]
    assert CompressionPlan.from_dict(plan.to_dict()) == plan
