"""One thread for small steps: starting and joining threads for each product would take longer than
the product.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

WORTH = 2_000_000
"""Multiplications from which a product is shared out: some 50 us of one core (measured on AMD EPYC
with AVX-512).
"""


@contextmanager
def threads_for(multiplications: int) -> Iterator[None]:
    """torch with one thread inside where the largest product of a step has fewer than is worth
    sharing out.
    """
    threads = torch.get_num_threads()
    if threads == 1 or multiplications >= WORTH:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
