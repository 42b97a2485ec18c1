"""Widths as a choice: a pick costs what its network stores, and reads of
shared weights what its network has.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))
from test_recommend import run_of_toy, toy

from ernn.cli.app import app
from ernn.compress import inside
from ernn.compress.hidden_units import narrowed, unit_norms, without_others
from ernn.compress.methods.low_rank import LowRank
from ernn.compress.plan import CompressionPlan, compressed, matrices
from ernn.compress.sets import encode
from ernn.errors import UserError
from ernn.golden.run import run as run_integers
from ernn.ir import reference
from ernn.ir import serialization as codec
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Network
from ernn.ir.structure import Pruned
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec, ModelSpec
from ernn.pipeline import network as networks
from ernn.pipeline.run import Run
from ernn.quantization.quantize import QuantizeSpec
from ernn.search.candidates import Pick, Space, blocks, space_of, stored_bytes
from ernn.search.choosers.chooser import Setting
from ernn.search.choosers.shared import share_weights
from ernn.search.choosers.supernet import Current
from ernn.search.written import shares

GRUS = ModelSpec(5, (LayerSpec("gru", 32), LayerSpec("gru", 20)), 4)
SPECS = [
    replace(GRUS, front=6),
    ModelSpec(
        5, (LayerSpec("lstm", 32, 5, peepholes=True), LayerSpec("gru", 16, reset="before")), 4
    ),
    ModelSpec(5, (LayerSpec("sru", 16), LayerSpec("mgu", 24), LayerSpec("indrnn", 24)), 4),
]


def space(model: ModelSpec, limit: float = 1e9) -> Space:
    inners = (*blocks([1, 2, 4, 16]), Pruned(0.5))
    return space_of(model, inners, (8, 3), stored_bytes, limit, widths=(0.75, 0.5, 1))


def drawn(some: Space, data: st.DataObject) -> Pick:
    return tuple(data.draw(st.sampled_from(part.options)) for part in some.parts)


def made(model: ModelSpec) -> AcousticModel:
    torch.manual_seed(0)
    return AcousticModel(model).eval()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SPECS), st.data())
def test_the_price_of_a_pick_is_what_its_network_stores(
    model: ModelSpec, data: st.DataObject
) -> None:
    some = space(model)
    pick = drawn(some, data)
    built = narrowed(made(model), some.units(pick))
    assert built.spec == some.spec(pick)
    found = compressed(built, some.plan(pick))
    assert {one.name for one in found} == {one.name for one in matrices(built, CompressionPlan())}
    stored = 0
    for one in found:
        numbers = sum(tensor.numel() for tensor in encode(one.weight, one.structure).tensors)  # type: ignore[union-attr]
        assert numbers == one.structure.stored(tuple(one.weight.shape))
        stored += one.structure.bits(tuple(one.weight.shape), 12)
    assert some.price(pick) == stored / 8 <= some.price(some.mildest)


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(SPECS), st.data())
def test_a_narrower_network_of_shared_weights_is_the_cut_network(
    model: ModelSpec, data: st.DataObject
) -> None:
    """Both the one cut from the dense network, and, once weights
    have moved, the one cut from those.
    """
    some, dense, frames = space(model), made(model), torch.randn(3, 7, 5)
    pick = drawn(some, data)
    setting = Setting(some, lambda: dense, toy.task(), toy.SPEC, 1, Path())
    current = Current(some, [some.mildest, pick])
    shared, plain = setting.widest(), setting.widest()
    share_weights(shared, some, current.of, current.size)
    current.choose(pick)
    units = some.units(pick)
    assert units is not None
    cut = narrowed(dense, units)
    inside.project_once(cut, some.plan(pick))
    torch.testing.assert_close(shared(frames), cut(frames))
    shared(frames).square().sum().backward()
    with torch.no_grad():
        pairs = list(zip(shared.named_parameters(), plain.named_parameters(), strict=True))
        by_name = {
            name.replace("parametrizations.", "").replace(".original", ""): one
            for (name, one), _ in pairs
        }
        for name, one in plain.named_parameters():
            moved = by_name[name]
            moved -= 0.1 * (torch.zeros_like(moved) if moved.grad is None else moved.grad)
            one.copy_(moved)
    again = without_others(plain, [torch.arange(count) for count in units])
    inside.project_once(again, some.plan(pick))
    torch.testing.assert_close(shared(frames), again(frames))


@pytest.mark.parametrize("model", SPECS, ids=lambda model: model.layers[0].cell)
def test_units_in_the_order_of_their_size_compute_the_same(model: ModelSpec) -> None:
    dense, frames = made(model), torch.randn(2, 7, 5)
    ordered = narrowed(dense, [layer.hidden for layer in model.layers])
    torch.testing.assert_close(ordered(frames), dense(frames))
    assert narrowed(dense, None) is dense
    for index in range(len(model.layers)):
        assert unit_norms(ordered, index).diff().max() < 1e-6
    with pytest.raises(UserError, match="an orthogonal layer keeps all its units"):
        narrowed(made(ModelSpec(5, (LayerSpec("rnn", 16, orthogonal=True),), 4)), [8])


def test_widths_are_multiples_that_blocks_want() -> None:
    some, least = (
        space(GRUS),
        space_of(GRUS, blocks([1]), (8,), stored_bytes, 1e9, widths=(0.01,)),
    )
    assert least.units(least.mildest) == (8, 8)
    assert [[one.count for one in width.options] for width in some.widths] == [
        [32, 24, 16],
        [20, 16],
    ]
    assert list(some.describe(some.mildest).items())[1] == ("recurrent.1", "20 units")
    assert [width.name for width in some.widest().widths] == ["recurrent.0", "recurrent.1"]
    assert {some.units(pick) for pick in some.widest().neighbours(some.mildest)} == {(32, 20)}
    alone = space_of(GRUS, blocks([1]), (8,), stored_bytes, 1e9)
    assert alone.units(alone.mildest) is None and alone.spec(alone.mildest) is GRUS
    narrow = space(GRUS, limit=some.price(tuple(part.options[-1] for part in some.parts)))
    with pytest.raises(UserError, match="even the harshest choice"):
        narrow.widest()
    with pytest.raises(UserError, match=r"above 0 and at most 1, not 1\.5"):
        space_of(GRUS, blocks([1]), (8,), stored_bytes, 1e9, widths=(1, 1.5))
    with pytest.raises(UserError, match="projection must be smaller than hidden = 8, not 10"):
        tight = replace(GRUS, layers=(LayerSpec("lstm", 16, 10),))
        space_of(tight, blocks([1]), (8,), stored_bytes, 1e9, widths=(1, 0.5))
    assert stored_bytes(GRUS.with_units([8, 8]), CompressionPlan(recurrent=LowRank(9))) == float(
        "inf"
    )
    assert shares("1, 0.5") == (1.0, 0.5)
    with pytest.raises(UserError, match="a list of shares is written as"):
        shares("half")


def recommended(run: Run, *more: str) -> dict[str, Any]:
    command = [
        "recommend",
        str(run.folder),
        "--trials",
        "7",
        "--blocks",
        "1,2",
        "--bits",
        "12,6",
        "--json",
        *more,
    ]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_command_cuts_trains_and_keeps_a_network_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    run = run_of_toy(tmp_path / "run", monkeypatch)
    found = recommended(run, "--budget", "250B", "--widths", "1,0.5")
    assert found["choice"]["recurrent.0"] == "8 units" and found["chosen"]["layers"] == [8]
    assert found["chosen"]["bytes"] <= 250 and found["uniform"]["layers"] == [16]
    assert recommended(run, "--budget", "250B", "--widths", "1,0.5") == found
    run = Run(run.folder)
    assert [layer["hidden"] for layer in run.options("compress")["model"]["layers"]] == [8]
    assert [layer["hidden"] for layer in run.options("train")["model"]["layers"]] == [16]
    assert run.record.find("compression.dense_weights").value == 3 * 16 * (4 + 16) + 4 * 16  # type: ignore[union-attr]
    assert run.record.find("error_rate.compressed").value == pytest.approx(
        found["chosen"]["test_percent"]
    )  # type: ignore[union-attr]
    networks.quantize_network(run, QuantizeSpec(), 10)
    integers = codec.load(run.path(networks.MODEL), IntegerModel)
    network = codec.load(run.path(networks.NETWORK), Network)
    assert networks.compressed_model(run).spec.layers[0].hidden == 8
    for example in toy.task().validation[:3]:
        (frames,) = networks.integer_utterances(integers, [example])
        expected, _ = reference.run(network, example.features.astype(float))
        assert (run_integers(integers, frames).argmax(1) == expected.argmax(1)).mean() > 0.9
