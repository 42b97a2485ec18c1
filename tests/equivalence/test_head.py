"""Which stages are a head, and what is refused of a design that runs one once a sequence."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.flow.bitstream import serial_engine
from ernn.ir.integer_model import IntegerModel
from ernn.scheduling.design import Design
from ernn.scheduling.memory_map import MemoryMap
from ernn.scheduling.schedule import schedule
from tests.models import random_integer_model

DESIGN = Design(2, once=True)


def model(**sizes: Any) -> IntegerModel:
    given: dict[str, Any] = dict(cell="lstm", input_size=3, hidden=4, block=1) | sizes
    made = random_integer_model(np.random.default_rng(0), **given)
    return replace(made, last_step=True)


@pytest.mark.parametrize(
    ("sizes", "stages", "head"),
    [
        ({"outputs": 2}, 2, 1),
        ({"outputs": 2, "layers": 2}, 3, 2),
        ({"outputs": 2, "projection": 3}, 3, 2),
        ({"outputs": 2, "cell": "gru"}, 2, 1),
    ],
)
def test_what_no_other_frame_reads_is_the_head(
    sizes: dict[str, Any], stages: int, head: int
) -> None:
    layout = MemoryMap(model(**sizes), DESIGN)
    assert (len(layout.stages), layout.head) == (stages, head)


def test_a_sequence_s_last_frame_alone_costs_the_head() -> None:
    made = model(outputs=2)
    once, always = schedule(made, DESIGN), schedule(made, replace(DESIGN, once=False))
    assert once.interval < always.interval <= once.last_interval
    assert once.latency == always.latency
    assert always.interval == always.last_interval


def test_what_has_no_head_is_refused() -> None:
    with pytest.raises(UserError, match=r"this network has none.*take once=False$"):
        schedule(model(), DESIGN)
    with pytest.raises(UserError, match=r"this network gives every frame's: take once=False, or"):
        schedule(replace(model(outputs=2), last_step=False), DESIGN)


def test_a_serial_line_is_refused() -> None:
    with pytest.raises(UserError, match=r"^on the serial line every packet is a frame.*$"):
        serial_engine(schedule(model(outputs=2), DESIGN), 4)
