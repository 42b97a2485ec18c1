"""From times of phones to one label per frame."""

from collections.abc import Sequence

import numpy as np

from ernn.data.corpus import Segment
from ernn.data.features import FeatureSpec


def frame_labels(alignment: Sequence[Segment], spec: FeatureSpec, frames: int) -> tuple[str, ...]:
    """The label in whose segment the centre of each frame's window lies; after the end, the last.

    Frame t is centred on sample t*shift + window/2; with stacking, halfway between the
    centres of its first and last window.
    """
    first = spec.window // 2 + (spec.stack - 1) * spec.shift // 2
    centres = first + np.arange(frames) * spec.shift * spec.subsample
    found = np.searchsorted([s.end for s in alignment], centres, side="right")
    return tuple(alignment[i].label for i in np.minimum(found, len(alignment) - 1))
