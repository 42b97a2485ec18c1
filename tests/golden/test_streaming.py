"""A stream is one thread's, and takes arrays alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.golden import Stream, Streams, run
from ernn.golden.machine import Plain
from tests.models import random_integer_model

INSIDE, GO = threading.Event(), threading.Event()


class Slow(Plain):
    """A machine that waits in the middle of its work."""

    def push(self, frames, edges=None):
        INSIDE.set()
        GO.wait(60)
        return super().push(frames, edges)


@pytest.mark.parametrize("count", [1, 2])
def test_a_stream_is_for_one_thread_at_a_time(count: int) -> None:
    """A second one used to mix its frames in, silently."""
    model = random_integer_model(np.random.default_rng(4), cell="gru", block=4)
    frames = np.random.default_rng(5).integers(-9, 9, (4, model.input.length))
    stream = Stream(model, Slow) if count == 1 else Streams(model, 2, Slow)
    given = frames if count == 1 else np.stack([frames] * 2, 1)
    INSIDE.clear()
    GO.clear()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(stream.push, given)
        assert INSIDE.wait(60)
        for other in (lambda: stream.push(given), stream.reset):
            with pytest.raises(UserError, match="give each thread a Stream of its own"):
                other()
        GO.set()
        outputs = first.result().reshape(len(frames), count, -1)
    for one in range(count):
        np.testing.assert_array_equal(outputs[:, one], run(model, frames))
    stream.push(given)  # and it goes on


def test_a_list_is_no_array_of_frames() -> None:
    model = random_integer_model(np.random.default_rng(4), cell="gru", block=4)
    with pytest.raises(UserError, match="frames must be an int64 array, not a list"):
        Stream(model).push([[0] * model.input.length])  # type: ignore[arg-type]
