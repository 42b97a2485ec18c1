"""How vectors lie in memory: element j of every word, one after the other, then element j + 1.

So the same step of many words' transforms is one loop over neighbours.  Elements beyond a vector's
end may hold anything.
"""

from math import ceil

import numpy as np

Array = np.ndarray


def laid_out(values: Array, k: int) -> Array:
    """(n,) to (k * words,), zeros beyond the end."""
    words = ceil(len(values) / k)
    return np.pad(values, (0, words * k - len(values))).reshape(words, k).T.reshape(-1)


def in_order(values: Array, k: int, length: int) -> Array:
    """(..., k * words) back to (..., length)."""
    words = values.shape[-1] // k
    return (
        values.reshape(*values.shape[:-1], k, words)
        .swapaxes(-1, -2)
        .reshape(*values.shape[:-1], -1)[..., :length]
    )
