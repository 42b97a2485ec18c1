"""What no engine is made for, and designs that cannot be: refused with one line."""

from typing import Any

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.ir.cells import SUM
from ernn.ir.network import NETWORK, Layer, Network
from ernn.quantization.quantize import quantize
from ernn.scheduling.design import Design
from ernn.scheduling.schedule import schedule
from tests.models import random_integer_model


def test_a_backward_layer_is_refused() -> None:
    network = dict(cell="lstm", input_size=4, hidden=4, block=1, bidirectional=True)
    model = random_integer_model(np.random.default_rng(0), **network)
    with pytest.raises(
        UserError,
        match=r"^l1 runs backward in time: hardware sees a frame before the next one exists; run ",
    ):
        schedule(model, Design(1))


def test_a_network_without_a_product_is_refused() -> None:
    doubled = Layer(SUM, (), (), inputs=(NETWORK, NETWORK), sizes=(3, 3))
    model = quantize(Network((doubled,)), [np.ones((4, 3))])
    with pytest.raises(
        UserError,
        match=r"^the network multiplies no matrix: an engine is built around its matrices",
    ):
        schedule(model, Design(1))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"pes": 0}, r"a design's pes must be 1\.\.512, not 0"),
        ({"pes": "1"}, r"a design's pes must be 1\.\.512, not '1'"),
        ({"pes": 1, "overlap": 2.0}, r"a design's overlap must be 1\.\.16, not 2\.0"),
        ({"pes": 513}, r"a design's pes must be 1\.\.512, not 513"),
        ({"pes": 1, "streams": 17}, r"a design's streams must be 1\.\.16, not 17"),
        ({"pes": 1, "chunk": 0}, r"a design's chunk must be 1\.\.256, not 0"),
        ({"pes": 1, "lanes": 128}, r"a design's lanes must be 0\.\.64, not 128"),
        (
            {"pes": 1, "lanes": 3},
            "a design's lanes must be a power of two, or 0 for a whole word, not 3",
        ),
        ({"pes": 1, "splits": 65}, r"a design's splits must be 1\.\.64, not 65"),
        ({"pes": 4, "words": 17}, r"a design's words must be 1\.\.16, not 17"),
        ({"pes": 4, "overlap": 0}, r"a design's overlap must be 1\.\.16, not 0"),
        ({"pes": 4, "words": 3, "splits": 3}, r"a design's words \(3\) must divide its pes \(4\)"),
        (
            {"pes": 4, "words": 2, "splits": 3},
            r"a design's words \(2\) must divide its splits \(3\)",
        ),
        (
            {"pes": 4, "pipeline": "flat"},
            "a design's pipeline is one of deep, direct, shallow, not 'flat'",
        ),
        (
            {"pes": 4, "packed": 18, "joined": 2},
            "a packed design's elements have a bank in pairs already: take joined=1",
        ),
        (
            {"pes": 4, "pipeline": "direct", "forwarding": True},
            "a design with forwarding has deep or shallow pipelines, not 'direct' ones: .*",
        ),
        (
            {"pes": 4, "staggered": True, "once": True},
            "a design that runs a head once a sequence has a lone stream, and is not staggered",
        ),
        (
            {"pes": 4, "streams": 2, "beforehand": True, "pipeline": "shallow"},
            "a design that makes sums beforehand has a lone stream, is not staggered and runs "
            "every frame's head",
        ),
        (
            {"pes": 4, "beforehand": True},
            "a design that makes sums beforehand has shallow pipelines, where sums leave the "
            "elements, not 'deep' ones",
        ),
        (
            {"pes": 4, "streams": 2, "ahead": True},
            "a design that begins products ahead has a lone stream, not 2 streams, .*",
        ),
    ],
)
def test_a_design_is_checked(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        Design(**choices)
