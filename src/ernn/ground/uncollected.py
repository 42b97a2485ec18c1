"""Python's garbage collector held off while many small objects are made and none is dropped.

with uncollected():
    circuit = rtlil.convert(design)     # a third of its time was looking in vain
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """No collection inside; afterwards as before. Objects are freed by their counts all the same:
    only rings of them wait for the end."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
