"""Intrinsic sparse structures: whole hidden units removed (Wen et al., ICLR 2018).

A unit is one row of every gate, one column of every matrix that reads it, and its biases.
Without it the network is a smaller dense one, which every structure, integers and the
engine take as they take any other.  `fewer_units` takes a user's own LSTM or GRU.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from numbers import Integral

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ernn.compress.plan import ROLES
from ernn.errors import UserError, require
from ernn.nn.model import AcousticModel


def unit_norms(model: AcousticModel, layer: int) -> Tensor:
    """Euclidean norm of all weights of each unit of a recurrent layer (hidden,), without biases."""
    require(model, AcousticModel, "units' norms are of an AcousticModel (see fewer_units)")
    hidden = model.spec.layers[layer].hidden
    parts = [tensor.square() for tensor in _of_units(model, layer)]
    return (
        torch.stack([part.reshape(hidden, -1).sum(1) for part in parts])
        .sum(0)
        .clamp(min=1e-24)
        .sqrt()
    )


def group_lasso(model: AcousticModel) -> Tensor:
    """Sum of all units' norms: added to the loss with a small weight, it empties whole units."""
    return torch.stack(
        [unit_norms(model, layer).sum() for layer in range(len(model.spec.layers))]
    ).sum()


def largest_units(model: AcousticModel, counts: Sequence[int]) -> list[Tensor]:
    """The `counts` largest units of every layer, ascending: what `without_others` is told."""
    return [units.sort().values for units in _largest_first(model, counts)]


def narrowed(model: AcousticModel, counts: Sequence[int] | None) -> AcousticModel:
    """A new model of the `counts` largest units of every layer, largest first; None: as it is.

    So a narrower one is the beginning of a wider one (slimmable networks: Yu et al., ICLR 2019;
    once-for-all: Cai et al., ICLR 2020), and one with all units computes what `model` does.
    """
    return model if counts is None else without_others(model, _largest_first(model, counts))


def _largest_first(model: AcousticModel, counts: Sequence[int]) -> list[Tensor]:
    require(model, AcousticModel, "a model's units by layer are of an AcousticModel (fewer_units)")
    if len(counts) != len(model.spec.layers):
        raise UserError(
            f"{len(counts)} counts for {len(model.spec.layers)} recurrent layers: give one for each"
        )
    found = []
    for index, (count, spec) in enumerate(zip(counts, model.spec.layers, strict=True)):
        if not 1 <= count <= spec.hidden:
            raise UserError(
                f"layer {index} has {spec.hidden} units: it can keep 1 to {spec.hidden}, not "
                f"{count}"
            )
        order = unit_norms(model, index).detach().sort(descending=True, stable=True).indices
        found.append(order[:count])
    return found


@torch.no_grad()
def without_others(model: AcousticModel, kept: Sequence[Tensor]) -> AcousticModel:
    """A new, smaller model of the units kept, by layer and in their order, with copied weights.

    UserError if a projection would be as wide as the units left, or a matrix must stay orthogonal.
    """
    if any(layer.orthogonal for layer in model.spec.layers):
        raise UserError(
            "what is left of an orthogonal matrix is not orthogonal: an orthogonal layer keeps all "
            "its units"
        )
    smaller = AcousticModel(model.spec.with_units([len(units) for units in kept]))
    state = model.state_dict()
    for index, units in enumerate(kept):
        hidden, projected = (
            model.spec.layers[index].hidden,
            model.spec.layers[index].projection is not None,
        )
        for name in [name for name in state if name.startswith(f"recurrent.{index}.")]:
            state[name] = _cut(name, state[name], units, hidden, projected)
        if not projected:
            reader = _reader(model, index)
            state |= {name: state[name][:, units] for name in state if name.startswith(reader)}
    smaller.load_state_dict(state)
    return smaller.train(model.training)


def _cut(name: str, tensor: Tensor, units: Tensor, hidden: int, projected: bool) -> Tensor:
    role = ROLES.get(name.rpartition(".")[2][:9])
    if role == "projection":
        return tensor[:, units]
    if tensor.dim() == 2 and tensor.shape[0] % hidden:  # peepholes: a row a gate
        return tensor[:, units]
    rows = tensor.unflatten(0, (-1, hidden))[:, units].flatten(0, 1)
    return rows[:, units] if role == "recurrent" and not projected else rows


def _of_units(model: AcousticModel, layer: int) -> list[Tensor]:
    """Weights with the unit as first axis: rows of the layer's gates, and columns that read it."""
    hidden, projected = (
        model.spec.layers[layer].hidden,
        model.spec.layers[layer].projection is not None,
    )
    found = []
    for name, tensor in model.named_parameters():
        role = (
            ROLES.get(name.rpartition(".")[2][:9])
            if name.startswith(f"recurrent.{layer}.")
            else None
        )
        if role in ("input", "recurrent"):
            found.append(tensor.unflatten(0, (-1, hidden)).transpose(0, 1))
        if role == "projection" or (role == "recurrent" and not projected):
            found.append(tensor.t())
        if not projected and name.startswith(_reader(model, layer)):
            found.append(tensor.t())
    return found


def _reader(model: AcousticModel, layer: int) -> str:
    """How the names begin of weights that read a layer's output."""
    last = layer + 1 == len(model.spec.layers)
    return "output.weight" if last else f"recurrent.{layer + 1}.weight_ih"


Reader = nn.Linear | nn.Conv1d | nn.LSTM | nn.GRU
_INPUTS = {"weight": ("in_features", "in_channels"), "weight_ih_l0": ("input_size",)}
"""Which weight of a reader has a column an input, and where it says how many there are."""


@torch.no_grad()
def fewer_units(
    layer: nn.LSTM | nn.GRU, count: int, readers: Sequence[Reader] = ()
) -> tuple[nn.Module, list[Reader]]:
    """A user's own layer with its `count` largest units, and what reads it without the others.

    readers: all layers that read its output: Linear ones, convolutions over time, LSTMs, GRUs;
    their columns count in what is large. Of stacked layers each keeps `count`; the last one's units
    stay in their order.

    Both are new, with copied weights. Raises UserError for a layer of both directions, a count
    that is none of its units, a reader of another width, and parametrized weights.
    """
    require(layer, nn.LSTM | nn.GRU, "hidden units are removed from an LSTM or a GRU")
    require(count, Integral, "how many units to keep is a whole number")
    hidden, projected = layer.hidden_size, bool(layer.proj_size)
    if layer.bidirectional:
        raise UserError("units are removed from a layer of one direction, not from both at once")
    if not 1 <= count <= hidden or (projected and count <= layer.proj_size):
        least = layer.proj_size + 1
        raise UserError(f"of {hidden} units {least} to {hidden} can be kept, not {count}")
    _require_plain(layer, readers)
    reading = [_columns(one) for one in readers]
    if wrong := [one for one in reading if one.shape[1] != (layer.proj_size or hidden)]:
        raise UserError(f"a reader has {wrong[0].shape[1]} inputs, not the layer's outputs")
    state, columns = layer.state_dict(), None
    for index in range(layer.num_layers):
        own = {name: state[name] for name in state if name.endswith(f"_l{index}")}
        if columns is not None:
            own[f"weight_ih_l{index}"] = own[f"weight_ih_l{index}"][:, columns]
        after = [state[f"weight_ih_l{index + 1}"]] if index + 1 < layer.num_layers else []
        columns = _kept(own, [] if projected else after or reading, hidden, projected, count)
        state |= {name: _cut(name, one, columns, hidden, projected) for name, one in own.items()}
        columns = None if projected else columns
    smaller = _with(layer, state, hidden_size=count)
    return smaller, [_without(one, columns) for one in readers]


def _require_plain(layer: nn.Module, readers: Sequence[nn.Module]) -> None:
    for reader in readers:
        require(reader, Reader, "what reads the units is a Linear, Conv1d, LSTM or GRU")
        if getattr(reader, "groups", 1) > 1 or getattr(reader, "bidirectional", False):
            raise UserError("a reader has one group and one direction: each input has one column")
    if any(parametrize.is_parametrized(one) for one in (layer, *readers)):
        raise UserError(
            "units are removed from plain weights: leave the compression first (inside.leave), or "
            "torch.nn.utils.parametrize.remove_parametrizations"
        )


def _kept(
    own: Mapping[str, Tensor], reading: Sequence[Tensor], hidden: int, projected: bool, count: int
) -> Tensor:
    """The largest units of one layer, ascending."""
    sizes = torch.zeros(hidden, dtype=torch.float64)
    for name, tensor in own.items():
        role, square = ROLES.get(name[:9]), tensor.double().square()
        if role in ("input", "recurrent"):
            sizes += square.unflatten(0, (-1, hidden)).sum((0, 2))
        if role == "projection" or (role == "recurrent" and not projected):
            sizes += square.sum(0)
    for tensor in reading:
        sizes += tensor.double().square().transpose(0, 1).flatten(1).sum(1)
    return sizes.topk(count).indices.sort().values


def _with(module: nn.Module, state: Mapping[str, Tensor], **said: int) -> nn.Module:
    """A copy with other weights, that says other sizes."""
    smaller = deepcopy(module)
    for name, tensor in state.items():
        setattr(smaller, name, nn.Parameter(tensor.clone(), getattr(module, name).requires_grad))
    for name, size in said.items():
        setattr(smaller, name, size)
    return smaller


def _columns(reader: Reader) -> Tensor:
    """The weight with a column an input."""
    return next(getattr(reader, name) for name in _INPUTS if hasattr(reader, name))


def _without(reader: Reader, columns: Tensor | None) -> Reader:
    if columns is None:
        return reader
    name = next(name for name in _INPUTS if hasattr(reader, name))
    said = {one: len(columns) for one in _INPUTS[name] if hasattr(reader, one)}
    return _with(reader, {name: getattr(reader, name)[:, columns]}, **said)  # type: ignore[return-value]
