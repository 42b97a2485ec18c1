"""Specifications: to disk and back, and one clear line for each mistake."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ernn.errors import UserError
from ernn.ground.plain import decode
from ernn.nn.cells import PeepholeLSTM, ResetBeforeGRU
from ernn.nn.model import AcousticModel
from ernn.nn.recurrent import GRU, LSTM
from ernn.nn.spec import LayerSpec, ModelSpec

LSTMS = st.builds(
    LayerSpec, st.just("lstm"), st.integers(9, 64), st.none() | st.integers(1, 8), st.booleans()
)
GRUS = st.builds(
    LayerSpec, st.just("gru"), st.integers(1, 64), reset=st.sampled_from(["after", "before"])
)
SPECS = st.builds(
    ModelSpec,
    st.integers(1, 64),
    st.lists(LSTMS | GRUS, min_size=1, max_size=4).map(tuple),
    st.integers(1, 64),
    st.floats(0, 0.99),
    st.none() | st.integers(1, 64),
)


@given(SPECS)
def test_to_json_and_back(spec):
    assert decode("model", ModelSpec, json.loads(json.dumps(spec.to_dict()))) == spec


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LayerSpec("rnnn", 4), r"cell must be one of \('lstm', 'gru', .*\), not 'rnnn'"),
        (lambda: LayerSpec("mgu", 4, peepholes=True), "the cell 'mgu' has no peepholes"),
        (
            lambda: LayerSpec("lstm", 4, orthogonal=True),
            "an LSTM has no recurrent matrix to keep orthogonal",
        ),
        (lambda: LayerSpec("gru", 0), "hidden must be a whole number of at least 1, not 0"),
        (lambda: LayerSpec("gru", 4.0), r"hidden must be a whole number of at least 1, not 4\.0"),
        (
            lambda: LayerSpec("gru", 4, projection=2),
            "a GRU has no projection: leave out projection = 2",
        ),
        (lambda: LayerSpec("gru", 4, peepholes=True), "a GRU has no peepholes"),
        (lambda: LayerSpec("lstm", 4, reset="before"), "an LSTM has no reset gate"),
        (
            lambda: LayerSpec("gru", 4, reset="never"),
            r"reset must be one of \('after', 'before'\), not 'never'",
        ),
        (
            lambda: LayerSpec("lstm", 4, projection=4),
            "projection must be smaller than hidden = 4, not 4",
        ),
        (lambda: ModelSpec(4, (), 2), "a model needs at least one recurrent layer"),
        (
            lambda: ModelSpec(4, (LayerSpec("gru", 4),), 2, 1.0),
            r"dropout must be at least 0 and below 1, not 1\.0",
        ),
        (
            lambda: ModelSpec(4, (LayerSpec("gru", 4),), 2, front=0),
            "front must be a whole number of at least 1, not 0",
        ),
        (lambda: ModelSpec(4, [LayerSpec("gru", 4)], 2), "layers must be a tuple of LayerSpec"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_the_model_uses_torchs_cells_where_they_suffice():
    spec = ModelSpec(
        5,
        (
            LayerSpec("lstm", 8),
            LayerSpec("lstm", 8, projection=4, peepholes=True),
            LayerSpec("gru", 6),
            LayerSpec("gru", 7, reset="before"),
        ),
        3,
    )
    model = AcousticModel(spec)
    assert [type(m) for m in model.recurrent] == [LSTM, PeepholeLSTM, GRU, ResetBeforeGRU]
    assert model(torch.zeros(2, 9, 5)).shape == (2, 9, 3)


def test_padding_after_the_end_never_reaches_an_earlier_output():
    torch.manual_seed(0)
    model = AcousticModel(
        ModelSpec(5, (LayerSpec("lstm", 8, 4, peepholes=True), LayerSpec("gru", 6)), 3)
    ).eval()
    frames = torch.randn(1, 9, 5)
    padded = torch.cat([frames, torch.randn(1, 4, 5)], dim=1)
    torch.testing.assert_close(model(padded)[:, :9], model(frames))
