"""An import against the original, on random input."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ernn.errors import UserError
from ernn.frontends.imported import Imported
from ernn.ir.reference import run

Array = np.ndarray

TOLERANCE = 1e-5
"""Largest difference allowed between the original and the network, relative to the largest output
where that exceeds 1."""

_SEED = 0


def checked(name: str, imported: Imported, frames: Array, lengths: Sequence[int]) -> Imported:
    """With the largest difference on random frames like those given; UserError above `TOLERANCE`.

    name: of the original, in the message.  lengths: of the sequences, in frames.
    """
    rng = np.random.default_rng(_SEED)
    host, worst, alone = imported.host, 0.0, imported.plain
    for length in lengths:
        sequence = _like(frames, length, rng)
        beside = imported.inputs.zeros(length).items()
        others = {name: rng.standard_normal(one.shape) for name, one in beside}
        given = imported.inputs.given(sequence, **others)
        expected = [np.asarray(one, float) for one in host.program.compute(given, host.results)]
        found = imported.run(given, imported.execute_float)
        for ours, theirs in zip(found, expected, strict=True):
            worst = max(worst, difference(np.asarray(ours, float), theirs))
        if alone:
            ours = run(imported.network, sequence)[0]
            alone = difference(ours.ravel(), expected[0].ravel()) <= TOLERANCE
    if not worst <= TOLERANCE:
        raise UserError(
            f"{name} and the network imported from it differ by {worst:.2g} on random frames "
            f"(allowed: {TOLERANCE:g}): something acts that its layers do not show, as a hook "
            "or a branch on the length"
        )
    network = replace(imported.network, last_step=imported.network.last_step and alone)
    return replace(imported, network=network, plain=alone, difference=worst)


def difference(ours: Array, theirs: Array) -> float:
    """Largest difference, relative to the largest value where that exceeds 1; infinite for other
    shapes.
    """
    if ours.shape != theirs.shape:
        return np.inf
    if not ours.size:
        return 0.0
    return float(np.abs(ours - theirs).max() / max(1.0, np.abs(theirs).max()))


def _like(frames: Array, length: int, rng: np.random.Generator) -> Array:
    """Random frames: normal numbers, or whole numbers that the example has."""
    shape = length, *frames.shape[1:]
    if np.issubdtype(frames.dtype, np.floating):
        return rng.standard_normal(shape)
    return rng.choice(frames.ravel(), shape)
