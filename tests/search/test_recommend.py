"""Choosers keep to the budget, propose nothing twice and the same again,
and find what is known to be best.
"""

import json
import sys
from dataclasses import replace
from itertools import product
from math import ceil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

sys.path.insert(0, str(Path(__file__).parent))
import toy_search as searched
from toy_search import toy

from ernn.compress import inside
from ernn.compress.methods.low_rank import LowRank
from ernn.compress.plan import CompressionPlan, matrices
from ernn.errors import UserError
from ernn.estimate.device import find_device
from ernn.ir.structure import BlockCirculant, Dense, Pruned, block_size
from ernn.nn.spec import ModelSpec
from ernn.pipeline import network as networks
from ernn.pipeline import recommend as pipeline
from ernn.pipeline.budget import Budget
from ernn.pipeline.run import Run
from ernn.search.candidates import (
    Candidate,
    Pick,
    Space,
    Units,
    blocks,
    space_of,
    stored_bytes,
    uniform,
)
from ernn.search.choosers.by import By
from ernn.search.choosers.chooser import Setting, Tried
from ernn.search.choosers.greedy import Rises, table
from ernn.search.choosers.known import chooser
from ernn.search.choosers.relaxed import PENALTY, Shares
from ernn.search.choosers.shared import share_weights
from ernn.search.choosers.steps import descend
from ernn.search.cost import cost, shapes
from ernn.search.log import Log
from ernn.search.recommend import best, recommend
from ernn.search.rehearsal import Heard, Rehearsal
from ernn.search.written import parse_bytes
from ernn.train.recipes import DIGITS

MODEL = searched.model("gru", 16)
EASY = replace(toy.SPEC, epochs=1)


def space(
    limit: float,
    inners: tuple = blocks([1, 2, 4]),
    bits: tuple[int, ...] = (12, 6, 3),
    widths: tuple[float, ...] = (1.0,),
) -> Space:
    return space_of(MODEL, inners, bits, stored_bytes, limit, widths=widths)


def setting(tmp_path: Path, limit: float = 700.0, trials: int = 14, **changes: Any) -> Setting:
    return Setting(space(limit, **changes), toy.model, toy.task(), EASY, trials, tmp_path)


def told(pick: Pick) -> Heard:
    """Few bits hurt, blocks and fewer units hurt less; the output matrix is the most sensitive."""
    candidates = [one for one in pick if isinstance(one, Candidate)]
    sizes = [1 if c.inner == Dense() else c.inner.block for c in candidates]  # type: ignore[attr-defined]
    rises = [
        weight * (size / 10 + 8 / c.bits)
        for weight, size, c in zip((1, 2, 5), sizes, candidates, strict=True)
    ]
    rises += [2 - one.count / 8 for one in pick if isinstance(one, Units)]
    return Heard(sum(rises), sum(rises))


def history(one: Any, some: Space, trials: int) -> list[Tried]:
    """What a chooser tries where `told` says how it goes."""
    tried: list[Tried] = []
    while len(tried) < trials and (pick := one.propose(tried)) is not None:
        heard = told(pick)
        tried.append(Tried(pick, heard.loss, heard.error, some.price(pick), some.fits(pick)))
    return tried


def test_the_price_is_what_is_stored() -> None:
    """16 units, 4 inputs, 4 outputs: 3·16·4 + 3·16·16 + 4·16 numbers, and a
    scale of 8 bits for each matrix.
    """
    some = space(1e9)
    assert some.price(some.mildest) == ((192 + 768 + 64) * 12 + 3 * 8) / 8
    pick = (Candidate(BlockCirculant(4, True), 3), Candidate(Dense(), 6), Candidate(Dense(), 12))
    assert some.price(pick) == (192 // 4 * 3 + 768 * 6 + 64 * 12 + 3 * 8) / 8
    assert [m.structure for m in matrices(toy.model(), some.plan(pick))] == [
        pick[1].structure,
        *_others(pick),
    ]
    assert stored_bytes(MODEL, uniform(4)) == ((192 + 768) // 4 * 12 + 64 * 12 + 3 * 8) / 8


def _others(pick: tuple[Candidate, ...]) -> list[Any]:
    return [pick[0].structure, pick[2].structure]


def test_what_cannot_be_had_is_refused() -> None:
    with pytest.raises(UserError, match="even the harshest choice takes 99, the budget is 50"):
        space(50)
    with pytest.raises(UserError, match=r"block sizes are of .* not 3"):
        blocks([1, 3])
    with pytest.raises(
        UserError, match=r"no structure that was given fits recurrent.0.weight_ih_l0"
    ):
        space(1e9, inners=(LowRank(10),))
    assert [parse_bytes(text) for text in ("40kB", "1.5 MiB", "7")] == [40_000, 1.5 * 2**20, 7]
    for wrong in ("40 kb", "much", "0kB", "-3kB"):
        with pytest.raises(UserError, match="a size is written as"):
            parse_bytes(wrong)
    with pytest.raises(UserError, match="give it alone"):
        Budget(1000, 500)
    with pytest.raises(UserError, match="say what the network may take"):
        Budget()


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.integers(120, 1500), st.booleans())
def test_greedy_steps_end_within_the_budget_with_nothing_left_to_gain(
    seed: int, limit: int, whole: bool
) -> None:
    some = space(limit, bits=(12, 6, 3) if whole else (12, 6, 4, 3))
    random = np.random.default_rng(seed)
    structures: list[dict[Any, float]] = [
        {one: random.random() for one in blocks([1, 2, 4])} for _ in some.parts
    ]
    widths = [{bits: random.random() for bits in (12, 6, 4, 3)} for _ in some.parts]
    if whole:
        widths = [{bits: one[bits] for bits in (12, 6, 3)} for one in widths]
    rises = Rises(some, structures, widths)
    found = descend(some, rises)
    assert some.fits(found)
    assert not [
        near for near in some.neighbours(found) if some.fits(near) and rises(near) < rises(found)
    ]
    every = (pick for pick in product(*(part.options for part in some.parts)) if some.fits(pick))
    least = min(rises(pick) for pick in every)
    assert rises(found) <= least + (0.0 if some.size <= 500 or limit > 1400 else 1.0)


@pytest.mark.parametrize("widths", [(1.0,), (1.0, 0.5)], ids=str)
@pytest.mark.parametrize("by", list(By))
def test_a_chooser_proposes_what_is_new_and_the_same_again(
    by: By, widths: tuple[float, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ernn.search.choosers.supernet.HEARD", 40)
    one, again = (chooser(by, setting(tmp_path / name, widths=widths)) for name in "ab")
    some = space(700, widths=widths)
    tried = history(one, some, 14)
    assert [each.pick for each in tried] == [each.pick for each in history(again, some, 14)]
    assert (
        len({each.pick for each in tried})
        == len(tried)
        == (5 * len(widths) if by == By.alike else 14)
    )
    assert any(each.fits for each in tried)
    if by != By.greedy:  # its table is above the budget
        assert all(each.fits for each in tried)
    found = {some.units(each.pick) for each in tried}
    assert found == ({None} if widths == (1.0,) else {(16,)} if by == By.relaxed else {(16,), (8,)})


def test_steps_lead_to_an_engine_where_few_picks_have_one() -> None:
    """Prices of cycles, infinite where no engine fits: at the beginning, and all around it."""
    model = replace(MODEL, layers=MODEL.layers * 2)
    asked: list[CompressionPlan] = []

    def cycles(model: ModelSpec, plan: CompressionPlan) -> float:
        asked.append(plan)
        sizes = [block_size(plan.structure(one.name, one.role)) for one in shapes(model)]
        return 1000.0 / min(sizes) if min(sizes) > 1 and max(sizes) < 8 else float("inf")

    some = space_of(model, blocks([1, 2, 4, 8]), (12,), cycles, 500.0)
    asked.clear()

    def cost(pick: Pick) -> float:
        """The last matrix loses least."""
        pairs = enumerate(some.assigned(pick), 1)
        return sum(part.options.index(one) / n for n, (part, one) in pairs)

    found = descend(some, cost)
    assert some.size == 4**5 and some.fits(found) and len(asked) < 60
    assert all(not some.fits(near) for near in some.neighbours(found) if cost(near) < cost(found))


def test_greedy_finds_the_best_of_a_loss_that_adds_up(tmp_path: Path) -> None:
    some = space(700)
    every = [pick for pick in product(*(part.options for part in some.parts)) if some.fits(pick)]
    least = min(told(pick).loss for pick in every)
    tried = history(chooser(By.greedy, setting(tmp_path)), some, 24)
    assert best(tried).loss <= 1.05 * least
    assert [each.pick for each in tried[: len(table(some))]] == table(some)


@pytest.mark.parametrize("signed", [False, True])
def test_shared_weights_are_read_as_the_mixture_of_their_projections(signed: bool) -> None:
    (four,), (two,) = blocks([4], signed), blocks([2], signed)
    some, model = space(1e9, blocks([1, 2, 4], signed)), toy.model()
    mildest = Candidate(Dense(), 12)
    pick = (
        Candidate(four, 6),
        Candidate(two, 3),
        Candidate(Dense(), 6),
    )
    mixed = toy.model()
    share_weights(mixed, some, lambda part: {pick[some.matrices.index(part)]: 0.25, mildest: 0.75})
    inside.project_once(model, some.plan(pick))
    mild = toy.model()
    inside.project_once(mild, some.plan(some.mildest))
    plain = [
        {m.name: m.parameter.detach() for m in matrices(one, CompressionPlan())}
        for one in (model, mild)
    ]
    for name, found in ((m.name, m.parameter) for m in matrices(mixed, CompressionPlan())):
        torch.testing.assert_close(found.detach(), 0.25 * plain[0][name] + 0.75 * plain[1][name])
        found.square().sum().backward()
    trained = {
        name: one.grad for name, one in mixed.named_parameters() if name.endswith("original")
    }
    assert len(trained) == 3 and all(gradient is not None for gradient in trained.values())


def test_shares_are_penalised_by_the_bytes_they_expect() -> None:
    some = space(700)
    shares = Shares(some.matrices, 700)
    with torch.no_grad():
        for logits in shares.logits:
            logits[0] = 50.0
    torch.testing.assert_close(
        shares.penalty().exp() ** (1 / PENALTY), torch.tensor(some.price(some.mildest) / 700)
    )
    shares.penalty().backward()
    with torch.no_grad():
        for logits in shares.logits:
            logits[-1] = 100.0
    assert shares.penalty() == 0


def test_the_relaxation_needs_bytes(tmp_path: Path) -> None:
    cycles = Space(MODEL, space(1e9).matrices, lambda model, plan: 100.0, 100.0)
    with pytest.raises(UserError, match="the relaxation takes a budget in bytes"):
        chooser(By.relaxed, replace(setting(tmp_path), space=cycles))


def test_the_policy_learns(tmp_path: Path) -> None:
    some = space(700, bits=(12, 8, 6, 5, 4, 3))
    tried = history(chooser(By.policy, replace(setting(tmp_path), space=some)), some, 120)
    first, last = ([each.loss for each in part] for part in (tried[:40], tried[-40:]))
    assert np.mean(last) < 0.9 * np.mean(first)


def test_a_search_that_was_stopped_goes_on_and_says_why(tmp_path: Path) -> None:
    some, made = space(700), []
    trial = Rehearsal(toy.model, toy.task(), EASY, tmp_path / "trials", "toy")

    def first(units: tuple[int, ...] | None, plan: CompressionPlan) -> Heard:
        made.append(plan)
        if len(made) == 5:
            raise KeyboardInterrupt
        return trial(units, plan)

    with pytest.raises(KeyboardInterrupt):
        recommend(some, chooser(By.greedy, setting(tmp_path)), first, 10, Log(tmp_path))
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "trials").iterdir()}
    found = recommend(some, chooser(By.greedy, setting(tmp_path)), trial, 10, Log(tmp_path))
    assert len(kept) == 4 and all(path.stat().st_mtime_ns == time for path, time in kept.items())
    assert [some.plan(one.pick) for one in found[:5]] == made
    assert "within the budget, the best so far (loss" in (tmp_path / "decisions.txt").read_text()
    with pytest.raises(UserError, match="none of 2 trials was within the budget"):
        recommend(some, chooser(By.greedy, setting(tmp_path)), trial, 2, Log(tmp_path))


def run_of_toy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose dense network hears the toy task."""
    run, model, task = Run(folder), toy.model(), toy.task()
    options = {"model": model.spec.to_dict(), "train": toy.SPEC.to_dict()}

    def work() -> None:
        run.path(networks.DENSE).write_bytes(save(dict(model.state_dict())))

    run.perform("train", options, work, writes=[networks.DENSE])
    corpus = SimpleNamespace(name="toy", identity="toy")
    data = SimpleNamespace(
        task=task,
        test=task.validation,
        corpus=corpus,
        features=DIGITS.features,
        objective=task.objective,
        score=task.score,
    )
    recipe = replace(DIGITS, admm=EASY, retrain=EASY)
    monkeypatch.setattr(pipeline.sequences, "prepared", lambda run: data)
    monkeypatch.setattr(pipeline, "recipe_for", lambda corpus, file: recipe)
    return run


@pytest.mark.parametrize("signed", [False, True])
def test_a_run_is_compressed_by_what_was_chosen(
    signed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    run = run_of_toy(tmp_path / "run", monkeypatch)
    asked = pipeline.RecommendationRequest(
        Budget(700), trials=9, epochs=1, sizes=(1, 2, 4), bits=(12, 6), signed=signed
    )
    found = pipeline.of_run(run, asked)
    assert found["chosen"]["bytes"] <= 700 and found["uniform"]["bytes"] <= 700
    title = "signed blocks of 4" if signed else "blocks of 4"
    assert found["uniform"]["title"] == f"{title}, output dense"
    assert found["uniform"]["plan"] == uniform(4, signed=signed).to_dict()
    assert any(choice.startswith("signed") for choice in found["choice"].values()) == signed
    assert Run(run.folder).options("compress")["plan"] == found["chosen"]["plan"]
    assert run.record.find("error_rate.compressed").value == pytest.approx(
        found["chosen"]["test_percent"]
    )  # type: ignore[union-attr]
    kept = json.loads((run.folder / "recommend" / "recommend.json").read_text())
    assert kept["choice"] == found["choice"] and len(pipeline.rows(kept)) == 2
    assert pipeline.of_run(run, asked) == found


def test_on_a_device_every_matrix_has_its_own_block_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    run = run_of_toy(tmp_path / "run", monkeypatch)
    monkeypatch.setattr("ernn.pipeline.phase1.SCHEDULES", 2)
    device = find_device("LFE5U-25F")
    wide = Budget(cycles=1e9, device=device).price(pipeline.RecommendationRequest.engine, 2)
    cycles = {block: wide(MODEL, uniform(block)) for block in (1, 2)}
    assert cycles[2] < cycles[1] and wide(MODEL.with_units([8]), uniform(1)) < cycles[1]
    asked = pipeline.RecommendationRequest(
        Budget(cycles=cycles[2], device=device), trials=5, epochs=1, sizes=(1, 2), signed=False
    )
    found = pipeline.of_run(run, asked)
    assert list(found["choice"]) == [one.name for one in shapes(MODEL)]
    assert found["chosen"]["price"] <= cycles[2]
    mixed = CompressionPlan(BlockCirculant(2, pad=True), BlockCirculant(8))
    assert wide(MODEL, mixed) < float("inf")
    assert wide(MODEL, CompressionPlan(Pruned(0.5))) == float("inf")
    own, filled = cost(MODEL, mixed), 0
    for one, size in zip(shapes(MODEL), (2, 8, 1), strict=True):
        gates, rows, columns = one.shape
        filled += gates * ceil(rows / size) * ceil(columns / 8) * 8
    stored = Budget(device=device).price(pipeline.RecommendationRequest.engine, 2)(MODEL, mixed)
    assert 8 * stored == own.bits + 12 * (filled - own.weights) and filled > own.weights
