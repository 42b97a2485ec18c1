"""A stream is one thread's, takes arrays alone, and begins with the states that it is given."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.golden import Stream, Streams, run
from ernn.golden.machine import Plain
from ernn.golden.sequence import executed
from ernn.ir import reference
from ernn.ir.edges import DataBits
from ernn.ir.layers import conv1d
from ernn.ir.network import Network
from ernn.ir.structure import Dense
from ernn.quantization.quantize import QuantizeSpec, quantize
from tests.models import random_frames, random_gru, random_integer_model, random_matrix

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


def test_a_delayed_input_that_is_kept_in_more_bits_goes_by_its_own_name() -> None:
    rng = np.random.default_rng(0)
    taps = [random_matrix(rng, 1, 5, 4, Dense()) for _ in range(2)]
    network = Network((random_gru(rng, 3, 4), conv1d(taps, np.zeros(5))))
    frames = random_frames(rng, network)
    model = quantize(network, [frames], QuantizeSpec(data=DataBits(hidden=8)))
    (_, before), values = (
        (layer.cell.remembered for layer in model.layers),
        rng.uniform(-0.9, 0.9, 4),
    )
    assert before == ("x_read",)
    found, expected = (executed(model, frames, {(1, name): values}) for name in ("x", "x_read"))
    assert np.array_equal(found[0], expected[0])
    begin = reference.initial_state(network)
    floats, _ = reference.run(network, frames, (begin[0], {"x": values[None]}))
    assert np.abs(found[0] - floats).max() < 0.1 * np.abs(floats).max()
    assert np.array_equal(found[1][1, "x"], found[1][1, "x_read"])
