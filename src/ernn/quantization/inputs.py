"""The network's input in other units, exactly, where only products read it.

Numbers are multiplied by 2**e (`ernn.quantization.columns`) by whoever quantizes frames
(`IntegerModel.units`).

Numbers that range over more than a format holds, as energies do, have three integers each where
that is felt: what rounding leaves of the first, times 2**`FINER`, is the second, and the number
over 2**`COARSER` the third.  These have columns of their own: the first's over 2**`FINER`, and what
rounding leaves of the first's, times 2**`COARSER`.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ernn.ir import reference
from ernn.ir.edges import edge_name
from ernn.ir.fixed_point import FixedFormat, dequantize, quantize
from ernn.ir.network import NETWORK, Matrix, Network
from ernn.quantization.calibrate import Range, Seen
from ernn.quantization.columns import (
    SLACK,
    filling,
    fullest,
    in_blocks,
    multiplied,
    only_multiplied,
    with_columns,
)
from ernn.quantization.scales import fracs_of_rows

Array = np.ndarray


COARSER = 5
"""Bits that the third integer adds to weights: about half of theirs; they have as many fewer
there."""
FINER = COARSER + SLACK
"""Bits that the second integer adds to an input, likewise; the first has `SLACK` to spare then."""
WIDE = 8
"""Bits between an input's range and the middle one of its numbers; with more it may have three."""
FEWEST = 12
"""Bits of each integer; three of fewer are hardly better than one."""
FELT = 0.005
"""Of the outputs, rms over rms, what the rounding of inputs must cause for that."""
FRAMES = 400
"""That this is measured on, and the rest of an utterance."""


def input_filled(
    network: Network, seen: Seen, block: int, tight: bool = False
) -> tuple[Network, Array]:
    """A network whose input fills its format, and the exponents; zeros where it stays.

    tight: with a bit less to grow by.
    """
    units = seen.units[edge_name(NETWORK)]
    if not only_multiplied(network, NETWORK):
        return network, np.zeros(1, np.int64)
    exponents = filling(units, block if in_blocks(network, NETWORK) else 1, SLACK - tight)
    return (multiplied(network, NETWORK, exponents) if exponents.any() else network), exponents


def ranges_far(network: Network, frames: Sequence[Array], format: FixedFormat) -> bool:
    """Whether numbers of the input may be small for its format, and columns of their own go with
    them.

    frames: utterances (time, inputs) of an `input_filled` network.
    """
    if not only_multiplied(network, NETWORK) or in_blocks(network, NETWORK):
        return False
    sizes = np.abs(np.concatenate(frames))
    middle = np.median(sizes[sizes > 0]) if sizes.any() else np.inf
    return bool(format.reach >= middle * 2.0**WIDE)


def felt(network: Network, frames: Sequence[Array], format: FixedFormat) -> bool:
    """Whether outputs feel how such numbers are rounded, and three integers for each would help."""
    if format.width < FEWEST:
        return False
    counts = np.cumsum([len(one) for one in frames])
    some = frames[: 1 + int(np.searchsorted(counts, FRAMES))]
    rounded = [dequantize(quantize(one, format), format) for one in some]
    exact, found = (np.concatenate(reference.run_all(network, given)) for given in (some, rounded))
    return bool(np.linalg.norm(found - exact) > FELT * np.linalg.norm(exact))


def spared(frames: Sequence[Array]) -> Array:
    """By how much more each number is to be multiplied where it has three integers: the first have
    bits to spare then, weights have not.
    """
    return fullest(np.abs(np.concatenate(frames)).max(0), 1, 0)


def in_three(network: Network) -> Network:
    """For an input of three times as many numbers, the second third 2**`FINER` times as large, the
    last of no weight yet.
    """

    def three(matrix: Matrix) -> Matrix:
        whole = matrix.value
        three = np.concatenate([whole, whole / 2.0**FINER, np.zeros_like(whole)], axis=2)
        return replace(matrix, value=three)

    return with_columns(network, NETWORK, three, 3)


def given_in_three(frames: Sequence[Array]) -> list[Array]:
    """Frames of an input `in_three`, with zeros for what is left of numbers."""
    return [np.pad(one, [(0, 0), (0, 2 * one.shape[1])]) for one in frames]


def refined(network: Network, bits: Callable[[str], int]) -> Network:
    """Of a network `in_three`: the last third makes up for the rounding of the first one's weights,
    row by row; `bits`: of the weights of a matrix by its name.
    """

    def residual(matrix: Matrix) -> Matrix:
        whole, finer, _ = np.split(matrix.value, 3, axis=2)
        fracs = fracs_of_rows(np.abs(whole).max(2, keepdims=True), bits(matrix.name))
        left = whole - np.ldexp(np.floor(np.ldexp(whole, fracs) + 0.5), -fracs)
        return replace(matrix, value=np.concatenate([whole, finer, left * 2.0**COARSER], axis=2))

    return with_columns(network, NETWORK, residual)


def with_room(seen: Seen) -> Seen:
    """Of an input `in_three`: its numbers may grow by `SLACK` bits, and none of it is clipped."""
    edge = edge_name(NETWORK)
    value = seen.ranges[edge].value * 2.0**SLACK
    samples = {name: values for name, values in seen.samples.items() if name != edge}
    return replace(seen, ranges={**seen.ranges, edge: Range(value, value)}, samples=samples)
