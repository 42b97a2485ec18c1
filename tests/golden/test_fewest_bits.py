"""The fewest bits: good enough, and with one fewer no more."""

from dataclasses import replace

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.golden import precision, trials
from ernn.golden.fewest_bits import MARGIN, fewest_bits
from ernn.quantization.quantize import QuantizeSpec
from tests.models import random_frames, random_network


def test_weights_and_kinds_have_as_few_bits_as_the_error_allows() -> None:
    rng = np.random.default_rng(0)
    network = random_network(rng, "gru", 4, 12, block=1, outputs=3)
    frames = [random_frames(rng, network, 60) for _ in range(6)]
    found = fewest_bits(network, frames[:3], frames[3:], 0.02)
    spec = found.spec

    def error(spec: QuantizeSpec) -> float:
        model = found._replace(spec=spec).integers(network, frames[:3])
        return precision(network, model, frames[3:]).rms

    goal = MARGIN * 0.02
    assert error(spec) <= goal < error(QuantizeSpec(spec.weight_bits - 1, spec.data_bits))
    assert spec.weight_bits < 12 and spec.data_bits < 16 and len(spec.weights) > 1
    for name, bits in spec.weights.items():
        assert bits < spec.weight_bits
        fewer = {**spec.weights, name: bits - 1}
        assert bits == 2 or error(replace(spec, weights=fewer)) > 0.8 * goal
    # the state is a cell once hidden numbers have fewer bits: with as few it is none again
    assert spec.data.hidden is not None and spec.data.cell is not None
    assert spec.data.hidden <= spec.data.cell < spec.data_bits
    for kind, bits in spec.data.given.items():
        fewer = replace(spec.data, **{kind: bits - 1})
        assert bits == 2 or error(replace(spec, data=fewer)) > 0.8 * goal


def test_what_cannot_be_is_refused() -> None:
    rng = np.random.default_rng(0)
    network = random_network(rng)
    frames = [random_frames(rng, network)]
    with pytest.raises(UserError, match=r"^18 bits of everything are .* rms off the floats, more"):
        fewest_bits(network, frames, frames, 1e-9)


def test_all_the_frames_given_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "FRAMES", 50)
    rng = np.random.default_rng(1)
    network = random_network(rng, "gru", 4, 8, block=1, outputs=3)
    frames = [random_frames(rng, network, 60) for _ in range(3)]
    loud, quiet = random_frames(rng, network, 60), 0.05 * random_frames(rng, network, 60)
    formats = fewest_bits(network, frames, [quiet, loud], 0.02)
    found = precision(network, formats.integers(network, frames), [quiet, loud])
    assert found.rms <= MARGIN * 0.02  # 0.0193 by the first 50 frames alone


def test_weights_may_have_two_bits() -> None:
    rng = np.random.default_rng(0)
    network = random_network(rng, "gru", 4, 8, block=1, outputs=3)
    frames = [random_frames(rng, network, 60) for _ in range(4)]
    assert fewest_bits(network, frames[:2], frames[2:], 0.9).spec.weight_bits == 2


def test_where_utterances_differ_others_do_too() -> None:
    rng = np.random.default_rng(2)
    network = random_network(rng, "gru", 4, 8, block=1, outputs=3)
    frames = [random_frames(rng, network, 40) for _ in range(3)]
    some = [frames[0], *(0.01 * one for one in frames)]  # quiet ones are further off
    found = trials.Trials(network, frames, some)
    coarse = trials.Formats(QuantizeSpec(8, 6))
    assert found.likely(coarse) > 1.2 * found.error(coarse)
    same = trials.Trials(network, frames, [frames[0]] * 4)
    assert same.likely(coarse) == pytest.approx(same.error(coarse))
    assert found.likely(fewest_bits(network, frames, some, 0.02)) <= 0.02


def test_weights_that_make_up_for_one_another_have_fewer_bits() -> None:
    """Where the numbers of a vector go together: by rounding to the nearest these bits would not
    do."""
    rng = np.random.default_rng(0)
    network = random_network(rng, "gru", 8, 16, block=1, outputs=3)
    mixed = rng.normal(size=(8, 8)) * np.linspace(0.5, 0.05, 8)
    frames = [random_frames(rng, network, 60) @ mixed for _ in range(6)]
    found = fewest_bits(network, frames[:3], frames[3:], 0.02)
    tried = trials.Trials(network, frames[:3], frames[3:])
    assert found.compensate and tried.error(found) <= MARGIN * 0.02
    assert tried.error(found._replace(compensate=False)) > 1.1 * MARGIN * 0.02
