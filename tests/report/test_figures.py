"""Figures of a report taken from a network: every matrix of a layer by its own name."""

import numpy as np

from ernn.ir.layers import bidirectional, reading
from ernn.ir.network import NETWORK, Network, Source
from ernn.pipeline.figures import layer_pictures
from ernn.quantization.quantize import QuantizeSpec
from tests.models import random_gru, random_linear, random_lstm


def test_every_matrix_of_a_layer_in_both_directions_is_drawn_by_its_name() -> None:
    rng = np.random.default_rng(0)
    both = bidirectional(random_lstm(rng, 3, 8, projection=5), random_gru(rng, 3, 6), NETWORK)
    joined = reading(random_lstm(rng, 11, 7, projection=4), [Source(0), Source(1)], [5, 6])
    network = Network((*both, joined, random_linear(rng, 4, 2)))
    pictures = layer_pictures(network, QuantizeSpec(12, weights={"l3": 5, "l1.candidate": 7}))
    assert [[m.bits for m in picture.matrices] for picture in pictures] == [
        [12, 12, 12],
        [12, 12, 12, 7],
        [12, 12, 12, 12],
        [5],
    ]
    assert [
        [(m.name, m.gates, m.rows, m.columns) for m in picture.matrices] for picture in pictures
    ] == [
        [
            ("gates of x", 4, 8, 3),
            ("gates of h@1", 4, 8, 5),
            ("projection of m", 1, 5, 8),
        ],
        [
            ("gates of x", 2, 6, 3),
            ("gates of h@1", 2, 6, 6),
            ("candidate_input of x", 1, 6, 3),
            ("candidate of h@1", 1, 6, 6),
        ],
        [
            ("gates of x0", 4, 7, 5),
            ("gates of x1", 4, 7, 6),
            ("gates of h@1", 4, 7, 4),
            ("projection of m", 1, 4, 7),
        ],
        [("product of x", 1, 2, 4)],
    ]
