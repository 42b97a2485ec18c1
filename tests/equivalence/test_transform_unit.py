"""The transforms by themselves against the contract's words: proved where ABC can, else over whole
ranges.

What is proved, for every input: both transforms of 2 and 4 numbers at full width, those of 8 at
narrow width, and of those of 8 every stage that only adds, at full width.  The rotations multiply
by constants, which ABC cannot decide at full width: in a transform of 8 a row is a function of one
sum, and every value of that sum is simulated.
"""

from itertools import pairwise

import numpy as np
import pytest
from amaranth.hdl import Const, Module, Signal, Value, signed

from ernn.flow.formal import proved_equal
from ernn.golden.fft import apply_stages
from ernn.ir.integer_parts import Stage, Transform
from ernn.quantization.integer_fft import forward_transform, inverse_transform
from ernn.rtl.transform import transform_pipe
from ernn.scheduling.timing import DEEP, SHALLOW, Pipeline, stage_depths, transform_depth
from tests.flow.pipes import Circuit, Pipe, Unit, answers, extended

WIDTH = 16
SIZES = (2, 4, 8, 16)
BOTH = {
    "forward": lambda k: forward_transform(k, 14, 2),
    "inverse": lambda k: inverse_transform(k, 14),
}


def widest(transform: Transform, k: int, width: int) -> int:
    """Bits that hold any result."""
    return width + transform.guard + 2 * k.bit_length()


def hardware(transform: Transform, k: int, width: int, pipeline: Pipeline = DEEP) -> Unit:
    def unit(m: Module, word: Value) -> Value:
        lanes: list[Value] = [word.word_select(i, width).as_signed() for i in range(k)]
        made = transform_pipe(m, lanes, 1 << (width - 1), transform, "unit", pipeline)
        return extended(made, widest(transform, k, width))

    return unit


def contract(transform: Transform, k: int, width: int) -> Unit:
    """(matrix @ v + half) >> shift as it is written, product by product."""

    def unit(m: Module, word: Value) -> Value:
        wide = widest(transform, k, width)
        lanes: list[Value] = [
            word.word_select(i, width).as_signed() << transform.guard for i in range(k)
        ]
        for stage in transform.stages:
            lanes = [
                as_written(m, row, int(by), lanes, wide)
                for row, by in zip(stage.matrix, stage.shift, strict=True)
            ]
        return extended(lanes, wide)

    return unit


def as_written(m: Module, row: np.ndarray, shift: int, lanes: list[Value], wide: int) -> Value:
    total = Signal(signed(wide + shift + 1), name="total")
    terms = [
        lane * Const(int(c), signed(int(c).bit_length() + 1))
        for c, lane in zip(row, lanes, strict=True)
        if c
    ]
    m.d.comb += total.eq(sum(terms, Const((1 << shift) >> 1)))
    return (total >> shift)[:wide].as_signed()


def proved(transform: Transform, k: int, width: int, pipeline: Pipeline = DEEP) -> bool:
    ports = (k * width, k * widest(transform, k, width))
    return proved_equal(
        Circuit(hardware(transform, k, width, pipeline), *ports),
        Circuit(contract(transform, k, width), *ports),
    )


@pytest.mark.parametrize("which", BOTH)
@pytest.mark.parametrize("pipeline", [DEEP, SHALLOW])
@pytest.mark.parametrize(("k", "width"), [(2, WIDTH), (4, WIDTH), (8, 3)])
def test_transforms_are_proved(which: str, k: int, width: int, pipeline: Pipeline) -> None:
    assert proved(BOTH[which](k), k, width, pipeline)


@pytest.mark.parametrize("which", BOTH)
@pytest.mark.parametrize("k", [2, 4, 8, 16, 32, 64])
def test_in_shallow_pipelines_two_sums_share_a_cycle_and_never_three(which: str, k: int) -> None:
    """A plain stage leaves its register to the next one, or to the rounding; rotations have
    theirs."""
    stages, depths = BOTH[which](k).stages, stage_depths(BOTH[which](k), SHALLOW)
    assert not any(one == after == 0 for one, after in pairwise(depths))
    rotations = [bool(stage.shift.any()) for stage in stages]
    assert [depth == 2 for depth in depths] == rotations
    assert sum(depths) < len(stages) + sum(rotations)


@pytest.mark.parametrize("which", BOTH)
def test_stages_that_add_are_proved_at_full_width(which: str) -> None:
    stages = [stage for stage in BOTH[which](8).stages if not stage.shift.any()]
    assert len(stages) == 3
    for stage in stages:
        assert proved(Transform((stage,), 0), 8, WIDTH + 4)


def test_a_wrong_sign_is_seen() -> None:
    right = forward_transform(4, 14, 2)
    matrix = right.stages[1].matrix.copy()
    matrix[2, 1] *= -1
    wrong = Transform((right.stages[0], Stage(matrix, right.stages[1].shift)), right.guard)
    ports = (4 * WIDTH, 4 * widest(right, 4, WIDTH))
    assert not proved_equal(
        Circuit(hardware(right, 4, WIDTH), *ports), Circuit(contract(wrong, 4, WIDTH), *ports)
    )


def simulated(transform: Transform, k: int, width: int, words: np.ndarray) -> np.ndarray:
    def unit(m: Module, word: Value) -> Value:
        lanes: list[Value] = [word.word_select(i, 32)[:width].as_signed() for i in range(k)]
        return extended(transform_pipe(m, lanes, 1 << (width - 1), transform, "unit", DEEP), 32)

    return answers(Pipe(unit, 32 * k, 32 * k, transform_depth(transform, DEEP)), words, k)


@pytest.mark.parametrize(("which", "width"), [("forward", WIDTH + 4), ("inverse", WIDTH)])
def test_rotations_of_eight_over_every_sum(which: str, width: int) -> None:
    """Forward with operands as wide as 16-bit data make them there: 20 bits, so sums and
    differences of 21.
    """
    stage = next(stage for stage in BOTH[which](8).stages if stage.shift.any())
    alone = Stage(stage.matrix[6:, 6:], stage.shift[6:])
    assert np.array_equal(stage.matrix[:6], np.eye(6, 8)) and not stage.matrix[6:, :6].any()
    assert len(set(np.abs(alone.matrix).ravel().tolist())) == 1, (
        "one constant: each row is a function of one sum"
    )
    high = 1 << (width - 1)
    sums = np.arange(-2 * high, 2 * high - 1)
    first = sums // 2
    words = np.concatenate(
        [np.stack([first, sums - first], 1), np.stack([first, -1 - (sums - first)], 1)]
    )
    assert words.min() == -high and words.max() == high - 1
    assert np.array_equal(words[: len(sums)].sum(1), sums), "every sum, then every difference"
    assert np.array_equal(-np.diff(words[len(sums) :])[:, 0], sums + 1)
    rotation = Transform((alone,), 0)
    assert np.array_equal(simulated(rotation, 2, width, words), apply_stages(rotation, words))


@pytest.mark.parametrize("which", BOTH)
@pytest.mark.parametrize("k", SIZES)
def test_every_value_of_a_lane(which: str, k: int) -> None:
    """Lanes (of 16: two) through their whole range, the others random or at their ends; golden is
    the contract.
    """
    transform, high = BOTH[which](k), 1 << (WIDTH - 1)
    rng = np.random.default_rng(k)
    parts = []
    for lane in range(k) if k <= 8 else (3, k - 1):
        words = rng.integers(-high, high, (2 * high, k))
        words[::3] = rng.choice([-high, high - 1], (len(words[::3]), k))
        words[:, lane] = np.arange(-high, high)
        parts.append(words)
    given = np.concatenate(parts)
    assert np.array_equal(
        simulated(transform, k, WIDTH, given), apply_stages(transform, given << transform.guard)
    )
