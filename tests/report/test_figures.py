"""Figures of a report taken from a network: every matrix of a layer by its own name."""

import numpy as np

from ernn.ir.network import BidirectionalLayer, Network
from ernn.pipeline.figures import layer_pictures
from tests.models import random_gru, random_linear, random_lstm


def test_every_matrix_of_a_layer_in_both_directions_is_drawn_by_its_name() -> None:
    rng = np.random.default_rng(0)
    both = BidirectionalLayer(random_lstm(rng, 3, 8, projection=5), random_gru(rng, 3, 6))
    network = Network((both, random_lstm(rng, 11, 7, projection=4), random_linear(rng, 4, 2)))
    pictures = layer_pictures(network, 12)
    assert [
        [(m.name, m.gates, m.rows, m.columns) for m in picture.matrices] for picture in pictures
    ] == [
        [
            ("forward input", 4, 8, 3),
            ("forward recurrent", 4, 8, 5),
            ("forward projection", 1, 5, 8),
            ("backward input", 3, 6, 3),
            ("backward recurrent", 3, 6, 6),
        ],
        [("input", 4, 7, 11), ("recurrent", 4, 7, 4), ("projection", 1, 4, 7)],
        [("weight", 1, 2, 4)],
    ]
