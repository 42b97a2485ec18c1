"""Importing a user's module: exactly right, or refused with one line that names the module and the
rule.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

from ernn.errors import UserError
from ernn.frontends.check import TOLERANCE
from ernn.frontends.torch import import_torch
from ernn.ir.cells import GRU_AFTER, GRU_BEFORE, LINEAR, lstm_cell
from ernn.ir.circulant import project
from ernn.ir.reference import run, run_all
from ernn.ir.structure import BlockCirculant, Dense
from ernn.nn.cells import PeepholeLSTM, ResetBeforeGRU
from ernn.nn.model import AcousticModel
from ernn.nn.spec import LayerSpec, ModelSpec
from tests.frontends.torch_modules import FORMS, HIDDEN, INPUTS, OUTPUTS, Net
from tests.frontends.torch_modules import fc as _fc
from tests.frontends.torch_modules import gru as _gru
from tests.frontends.torch_modules import lstm as _lstm

BATCH_FIRST = torch.zeros(2, 6, INPUTS)


def _equal(module: nn.Module, network, frames: torch.Tensor, expected: torch.Tensor) -> None:
    """Each sequence of batch-first frames, one by one, gives the module's outputs."""
    for row, outputs in zip(frames, expected.detach(), strict=True):
        ours = run(network, row.double().numpy())[0]
        np.testing.assert_allclose(ours.reshape(outputs.shape), outputs, atol=TOLERANCE)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31),
    st.sampled_from([nn.LSTM, nn.GRU, PeepholeLSTM, ResetBeforeGRU]),
    st.integers(1, 7),
    st.integers(2, 8),
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_every_option_of_a_recurrent_module(
    seed, kind, inputs, hidden, layers, batch_first, bias, both, projected
):
    torch.manual_seed(seed)
    options = {
        "num_layers": layers,
        "batch_first": batch_first,
        "dropout": 0.5 if layers > 1 else 0.0,
    }
    if kind in (nn.LSTM, nn.GRU):
        options |= {"bias": bias, "bidirectional": both}
    if kind in (nn.LSTM, PeepholeLSTM) and projected:
        options["proj_size"] = hidden - 1
    module = kind(inputs, hidden, **options)
    frames = torch.randn(2, 5, inputs)
    shown = frames if batch_first else frames.transpose(0, 1)
    network = import_torch(module, shown).network
    assert module.training
    expected = module.eval()(shown)[0]
    _equal(module, network, frames, expected if batch_first else expected.transpose(0, 1))
    ways = 1 + (both and kind in (nn.LSTM, nn.GRU))
    assert len(network.layers) == layers * ways
    assert [layer.backward for layer in network.layers[:ways]] == [False, True][:ways]


def _every_step(self, x):
    out, _ = self.rnn(x)
    return self.fc(out)


def _last_step(self, x):
    out, _ = self.rnn(x)
    return self.fc(out[:, -1])


def _two_and_linears(self, x):
    out, _ = self.rnn(self.dropout(self.first(x)))
    out = functional.dropout(self.middle(out), 0.3, self.training)
    out, _ = self.second(out.contiguous())
    return self.last(self.fc(out[:, -1, :]))


def _end_state(self, x):
    _, (h, _c) = self.rnn(x)
    return self.fc(h[-1])


def _time_first_inside(self, x):
    out, h = self.rnn(x.transpose(0, 1))
    return self.fc(out).permute(1, 0, 2), h


def _time_first_last(self, x):
    assert x.dim() == 3 and x.shape[-1] == INPUTS
    out, _ = self.rnn(x.permute(1, 0, 2))
    return self.fc(out[len(out) - 1])


def _zero_state(self, x):
    zeros = torch.zeros(1, x.size(0), HIDDEN, device=x.device)
    out, (h, c) = self.rnn(x, (zeros, x.new_zeros(1, x.shape[0], HIDDEN)))
    return self.fc(out), (h, c)


def _learned_state(self, x):
    out, _ = self.rnn(x, hx=self.h0.expand(-1, len(x), -1).contiguous())
    return self.fc(out)


def _squeezed(self, x):
    _, h = self.rnn(x)
    return self.fc(h.squeeze(dim=0))


def _norm(module, name="weight_hh_l0"):
    parametrizations.weight_norm(module, name)
    return module


ACCEPTED = {
    "every step": lambda: Net(_every_step, rnn=_lstm(), fc=_fc()),
    "last step": lambda: Net(_last_step, rnn=_gru(num_layers=2), fc=_fc()),
    "bidirectional last step": lambda: Net(
        _last_step, rnn=_gru(bidirectional=True), fc=_fc(2 * HIDDEN)
    ),
    "linear without bias": lambda: Net(_every_step, rnn=_gru(bias=False), fc=_fc(bias=False)),
    "two recurrent layers, linears between and after": lambda: Net(
        _two_and_linears,
        first=_fc(INPUTS, 5),
        dropout=nn.Dropout(0.5),
        rnn=_lstm(5, 6, proj_size=3),
        middle=_fc(3, 5),
        second=_gru(5, HIDDEN),
        fc=_fc(),
        last=_fc(OUTPUTS, OUTPUTS),
    ),
    "h_n[-1]": lambda: Net(_end_state, rnn=_lstm(num_layers=2), fc=_fc()),
    "h_n.squeeze(0)": lambda: Net(_squeezed, rnn=_gru(), fc=_fc()),
    "transposed and back": lambda: Net(_time_first_inside, rnn=nn.GRU(INPUTS, HIDDEN), fc=_fc()),
    "transposed, last step": lambda: Net(_time_first_last, rnn=nn.LSTM(INPUTS, HIDDEN), fc=_fc()),
    "zeros as state": lambda: Net(_zero_state, rnn=_lstm(), fc=_fc()),
    "learned state": lambda: Net(
        _learned_state,
        rnn=_gru(bidirectional=True),
        fc=_fc(2 * HIDDEN),
        h0=nn.Parameter(torch.randn(2, 1, HIDDEN)),
    ),
    "parametrized weights": lambda: Net(_every_step, rnn=_norm(_lstm()), fc=_norm(_fc(), "weight")),
    "half of the layers frozen in evaluation": lambda: Net(
        _every_step, rnn=_gru().eval(), fc=_fc()
    ),
    "double precision": lambda: Net(_every_step, rnn=_gru(), fc=_fc()).double(),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name):
    torch.manual_seed(7)
    module = ACCEPTED[name]()
    modes = [part.training for part in module.modules()]
    frames = torch.randn(2, 6, INPUTS, dtype=next(module.parameters()).dtype)
    network = import_torch(module, frames).network
    assert [part.training for part in module.modules()] == modes
    longer = torch.randn(3, 11, INPUTS, dtype=frames.dtype)
    result = module.eval()(longer)
    _equal(module, network, longer, result[0] if isinstance(result, tuple) else result)


def test_unbatched_frames():
    torch.manual_seed(8)
    module = Net(lambda self, x: self.fc(self.rnn(x)[0][-1]), rnn=_lstm(), fc=_fc())
    network = import_torch(module, torch.zeros(6, INPUTS)).network
    assert network.last_step
    frames = torch.randn(9, INPUTS)
    torch.testing.assert_close(
        torch.from_numpy(run(network, frames.numpy())[0])[0].float(), module(frames)
    )


def test_state_comes_in_as_the_layers_own():
    torch.manual_seed(9)
    h, c = torch.randn(2, 1, HIDDEN), torch.randn(2, 1, HIDDEN)
    module = Net(
        lambda self, x: self.rnn(x, (self.h.repeat(1, len(x), 1), self.c.repeat(1, len(x), 1))),
        rnn=_lstm(num_layers=2),
        h=h,
        c=c,
    )
    network = import_torch(module, BATCH_FIRST).network
    for index, layer in enumerate(network.layers):
        np.testing.assert_array_equal(layer.initial_value("h"), h[index, 0].double())
        np.testing.assert_array_equal(layer.initial_value("c"), c[index, 0].double())


def test_zero_states_are_none():
    network = import_torch(Net(_zero_state, rnn=_lstm(), fc=_fc()), BATCH_FIRST).network
    assert network.layers[0].initial == (None, None)


def test_streaming_an_imported_module_equals_its_own_state():
    torch.manual_seed(10)
    module = Net(_zero_state, rnn=_lstm(), fc=_fc())
    network = import_torch(module, BATCH_FIRST).network
    frames = torch.randn(1, 12, INPUTS)
    state, parts = None, []
    for chunk in frames[0].split(5):
        part, state = run(network, chunk.double().numpy(), state)
        parts.append(part)
    expected, (h, c) = module(frames)
    np.testing.assert_allclose(np.concatenate(parts), expected[0].detach(), atol=TOLERANCE)
    np.testing.assert_allclose(state[0]["h"][0], h[0, 0].detach(), atol=TOLERANCE)
    np.testing.assert_allclose(state[0]["c"][0], c[0, 0].detach(), atol=TOLERANCE)


def test_variable_lengths_equal_torchs_packing():
    torch.manual_seed(11)
    module = _gru(bidirectional=True)
    network = import_torch(module, BATCH_FIRST).network
    utterances = [torch.randn(length, INPUTS) for length in (7, 3, 5)]
    packed, _ = module(pack_sequence(utterances, enforce_sorted=False))
    expected, lengths = pad_packed_sequence(packed, batch_first=True)
    ours = run_all(network, [u.double().numpy() for u in utterances])
    for outputs, row, length in zip(ours, expected.detach(), lengths, strict=True):
        np.testing.assert_allclose(outputs, row[:length], atol=TOLERANCE)


def test_acoustic_model():
    torch.manual_seed(12)
    lstm = LayerSpec("lstm", 8, 4, peepholes=True)
    spec = ModelSpec(
        INPUTS,
        (lstm, LayerSpec("lstm", 8, 4), LayerSpec("gru", 6, reset="before")),
        OUTPUTS,
        dropout=0.4,
    )
    network = import_torch(AcousticModel(spec), BATCH_FIRST).network
    first, second, third, last = network.layers
    assert first.cell == lstm_cell(peepholes=True, projected=True)
    assert second.cell == lstm_cell(projected=True)
    assert third.cell == GRU_BEFORE and last.cell == LINEAR


def test_acoustic_model_with_a_front():
    spec = ModelSpec(INPUTS, (LayerSpec("gru", 8),), OUTPUTS, front=6)
    front, recurrent, last = import_torch(AcousticModel(spec), BATCH_FIRST).network.layers
    assert front.cell == LINEAR and front.matrix("product", "x").value.shape == (1, 6, INPUTS)
    assert recurrent.cell == GRU_AFTER and last.cell == LINEAR


def _kind(where):
    """The operation, or the layer's type."""
    return where.split("(")[1][:-1] if where.startswith("module") else where.split()[0]


@pytest.mark.parametrize("name", FORMS)
def test_form(name):
    torch.manual_seed(16)
    form = FORMS[name]
    imported = import_torch(form.make(), form.example())
    sides = {
        when: tuple(_kind(one.where) for one in imported.stays if one.when == when)
        for when in ("before", "after")
    }
    assert sides == {"before": form.before, "after": form.after}
    assert imported.plain == form.plain


# Structures


def _circulant_gru(block: int) -> nn.GRU:
    torch.manual_seed(13)
    module = nn.GRU(8, 16)
    structure = BlockCirculant(block)
    with torch.no_grad():
        for parameter in (module.weight_ih_l0, module.weight_hh_l0):
            parameter.copy_(torch.from_numpy(project(parameter.double().numpy(), structure)))
    return module


def test_blocks_across_two_directions_are_refused_and_may_be_left_dense():
    torch.manual_seed(14)
    module, blocks = _lstm(8, 20, num_layers=2, bidirectional=True), BlockCirculant(8, pad=True)
    names = [name for name, _ in module.named_parameters() if name.startswith("weight")]
    across = {"weight_ih_l1", "weight_ih_l1_reverse"}  # over 20 values of each direction
    for name in names:
        weight = module.get_parameter(name)
        gates = weight.detach().double().numpy().reshape(4, 20, -1)
        weight.data = torch.from_numpy(project(gates, blocks)).float().flatten(0, 1)
    with pytest.raises(UserError, match=r"20 to 39, .*lie across.* multiple of 8, or leave this"):
        import_torch(module, torch.zeros(2, 6, 8), structures=dict.fromkeys(names, blocks))
    some = {name: blocks for name in names if name not in across}
    network = import_torch(module, torch.zeros(2, 6, 8), structures=some).network
    frames = torch.randn(7, 8)
    ours, theirs = run(network, frames.double().numpy())[0], module(frames[None])[0]
    np.testing.assert_allclose(ours, theirs[0].detach(), atol=TOLERANCE)


def test_structures_by_name_and_by_rule():
    module = _circulant_gru(4)
    frames = torch.zeros(5, 1, 8)
    by_name = import_torch(module, frames, structures={"weight_hh_l0": BlockCirculant(4)}).network
    pairs = [
        (read.name, matrix.structure)
        for product, matrices in zip(
            by_name.layers[0].cell.products, by_name.layers[0].weights, strict=True
        )
        for read, matrix in zip(product.reads, matrices, strict=True)
    ]
    assert set(pairs) == {("x", Dense()), ("h", BlockCirculant(4))}
    shapes = []
    by_rule = import_torch(
        module,
        frames,
        structures=lambda name, shape: shapes.append((name, shape)) or BlockCirculant(4),
    ).network
    assert shapes == [("weight_ih_l0", (3, 16, 8)), ("weight_hh_l0", (3, 16, 16))]
    assert by_rule.stored_weights == 3 * 16 * (8 + 16) // 4
    for matrix in by_rule.layers[0].matrices:
        np.testing.assert_array_equal(matrix.value, project(matrix.value, BlockCirculant(4)))


@pytest.mark.parametrize(
    ("structures", "message"),
    [
        (
            {"weight_hh_l0": BlockCirculant(8)},
            r"^weight_hh_l0 is not BlockCirculant\(block=8, pad=False\): the nearest such matrix "
            r"is 0\.\d+ of its norm "
            r"away \(allowed: 1e-05\); compress the module before importing it$",
        ),
        (
            {"weight_ih_l0": BlockCirculant(32)},
            r"^weight_ih_l0: block size 32 does not divide 16 rows",
        ),
        (
            {"gru.weight_hh_l0": BlockCirculant(4)},
            r"^structures names gru\.weight_hh_l0; the matrices are weight_ih_l0, weight_hh_l0$",
        ),
    ],
)
def test_structures_refused(structures, message):
    with pytest.raises(UserError, match=message):
        import_torch(_circulant_gru(4), torch.zeros(5, 1, 8), structures=structures)


# Refused, with the wording pinned


class _KeepsState(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.h = _gru(), None

    def forward(self, x):
        out, self.h = self.gru(x, self.h)
        return out


def _hooked() -> nn.Module:
    module = Net(_every_step, rnn=_gru(), fc=_fc())
    module.rnn.register_forward_hook(lambda module, arguments, result: (2 * result[0], result[1]))
    return module


def _nan() -> nn.Module:
    module = _gru()
    with torch.no_grad():
        module.weight_hh_l0[0, 0] = torch.nan
    return module


def _with(change, **parts):
    return lambda: Net(
        change, **{"rnn": _gru(), "fc": _fc(), **{name: part() for name, part in parts.items()}}
    )


REFUSED = {
    "numpy": (
        _with(lambda self, x: torch.tensor(self.rnn(x)[0].numpy())),
        "Net takes numbers out of the frames by numpy: what follows from them cannot be seen",
    ),
    "branch on values": (
        _with(lambda self, x: self.rnn(x)[0] if x.mean() > 0 else x),
        "Net takes numbers out of the frames by bool: what follows from them cannot be seen",
    ),
    "last of the batch": (
        _with(lambda self, x: self.fc(self.rnn(x)[0][-1])),
        "Net takes one sequence of the batch by getitem: that is not a step in time",
    ),
    "recurrent after the last step": (
        _with(lambda self, x: self.second(self.rnn(x)[0][:, -1])[0], second=lambda: _gru(HIDDEN)),
        "module 'second' (GRU) reads one frame of each sequence (batch, values) as one sequence",
    ),
    "mixed axes": (
        _with(
            lambda self, x: self.second(self.rnn(x)[0])[0], second=lambda: nn.GRU(HIDDEN, HIDDEN)
        ),
        "module 'second' (GRU) has batch_first=False, but its input has the batch axis first: it "
        "would run over the batch instead of time; set batch_first alike, or transpose between",
    ),
    "packing": (
        _with(lambda self, x: self.rnn(pack_padded_sequence(x, [6, 2], True))[1]),
        "Net packs sequences of different lengths: import the module without packing",
    ),
    "packing unsorted": (
        _with(
            lambda self, x: self.rnn(pack_padded_sequence(x, [2, 6], True, enforce_sorted=False))[1]
        ),
        "Net packs sequences of different lengths: import the module without packing",
    ),
    "dropout that stays on": (
        _with(lambda self, x: functional.dropout(self.rnn(x)[0])),
        "Net gives another output for the same input when called again",
    ),
    "random state": (
        _with(
            lambda self, x: self.rnn(
                x, torch.randn(1, 1, HIDDEN).expand(1, len(x), -1).contiguous()
            )[0]
        ),
        "Net gives another output for the same input when called again",
    ),
    "state kept between calls": (
        _KeepsState,
        "_KeepsState gives another output for the same input when called again: it keeps a state "
        "between calls",
    ),
    "state by row": (
        _with(lambda self, x: self.rnn(x, torch.arange(8.0).reshape(1, 2, HIDDEN))[0]),
        "module 'rnn' (GRU) starts each sequence of the batch from another state: a network has "
        "one initial state",
    ),
    "hook": (_hooked, "Net and the network imported from it differ by"),
    "branch on the length": (
        _with(
            lambda self, x: self.rnn(x)[0] if x.shape[1] == 6 else self.second(x)[0], second=_gru
        ),
        "Net runs other operations on frames of shape (1, 9, 3) than on the example",
    ),
    "fixed length": (
        _with(lambda self, x: self.rnn(x)[0][:, {6: -1}[x.shape[1]]]),
        "Net runs on the example, but not on frames of shape (1, 9, 3): KeyError: 9; a network "
        "must run at any length",
    ),
    "half precision": (
        lambda: _gru().half(),
        "GRU has weight_ih_l0 in torch.float16: convert it first with .float()",
    ),
    "not finite": (
        _nan,
        "GRU has a value in weight_hh_l0 that is not finite: the training diverged",
    ),
    "wrong size": (
        lambda: _gru(INPUTS + 1),
        "GRU does not run on the example: RuntimeError: input.size(-1) must be equal to",
    ),
    "TorchScript without a forward": (
        lambda: torch.jit.script(_gru()),
        "GRU as TorchScript has no forward: import the module that it was made from",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    torch.manual_seed(14)
    make, message = REFUSED[name]
    module = make()
    example = BATCH_FIRST.half() if name == "half precision" else torch.randn(2, 6, INPUTS)
    with pytest.raises(UserError) as caught:
        import_torch(module, example)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_structure_of_an_unused_layer_is_let_be():
    module = Net(lambda self, x: self.rnn(x)[0], rnn=_gru(), unused=_fc())
    assert (
        import_torch(
            module, BATCH_FIRST, structures={"unused.weight": BlockCirculant(2)}
        ).network.output_size
        == HIDDEN
    )


def test_a_second_input_that_is_not_used_is_let_be():
    module = Net(lambda self, x, lengths: self.rnn(x)[0], rnn=_gru())
    assert import_torch(module, (BATCH_FIRST, torch.tensor([6, 2]))).network.output_size == HIDDEN


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (
            pack_sequence([torch.zeros(4, INPUTS)]),
            "the example is a packed sequence: give frames of one length",
        ),
        (torch.zeros(3), r"the example must be a tensor of frames, .* not \(3,\)"),
        (torch.zeros(2, 0, 3), r"the example must be a tensor of frames, .* not \(2, 0, 3\)"),
        ((), "the example must be a tensor of frames, .* not NoneType"),
        (np.zeros((4, 3)), "the example must be a tensor of frames, .* not ndarray"),
    ],
)
def test_bad_examples(example, message):
    with pytest.raises(UserError, match=message):
        import_torch(_gru(), example)


def test_the_example_is_not_written_to():
    example = torch.zeros(2, 6, INPUTS)
    import_torch(Net(lambda self, x: self.rnn(x.add_(1))[0], rnn=_gru()), example)
    assert not example.any()


def test_a_refused_import_leaves_no_trace_on_the_module():
    module = _with(lambda self, x: self.rnn(x)[0].numpy())()
    with pytest.raises(UserError):
        import_torch(module, BATCH_FIRST)
    assert module.training and all(part.training for part in module.modules())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_parametrized_weights_are_those_that_run():
    class Double(nn.Module):
        def forward(self, weight):
            return 2 * weight

    torch.manual_seed(15)
    module = _lstm()
    original = module.weight_hh_l0.detach().double().numpy().copy()
    parametrize.register_parametrization(module, "weight_hh_l0", Double())
    network = import_torch(module, BATCH_FIRST).network
    np.testing.assert_allclose(
        network.layers[0].matrix("gates", "h@1").value.reshape(original.shape), 2 * original
    )
