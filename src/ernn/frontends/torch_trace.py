"""Labels through a user's torch module: every tensor's, as operations and layers run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from inspect import currentframe
from traceback import walk_stack
from typing import Any, NoReturn

import numpy as np
from torch import Tensor, nn

from ernn.errors import UserError
from ernn.frontends.graph import Vector
from ernn.frontends.imported import Traced
from ernn.frontends.labels import varies
from ernn.frontends.recorder import OnHost, Recorder
from ernn.frontends.torch_layers import Kind, Owner, WeightReader, owner_of
from ernn.frontends.torch_operators import FACTS, TAKES_OUT, VIEWS, Operators
from ernn.frontends.torch_watch import Watcher, describe, tensors
from ernn.ir.network import Layer, Matrix
from ernn.nn.cells import PeepholeLSTM, ResetBeforeGRU
from ernn.nn.described import DescribedCell

Array = np.ndarray
_PACKING = {"pack_padded_sequence", "pack_sequence", "pad_packed_sequence"}


class OneSequence(UserError):  # noqa: N818
    """One sequence of the batch is taken."""


class WrongAxis(UserError):  # noqa: N818
    """A recurrent layer runs over the batch."""


class Trace(Watcher):
    """Records what a module does with labelled tensors."""

    def __init__(self, module: nn.Module, reader: WeightReader, grounded: bool) -> None:
        super().__init__(module)
        self.recorder = Recorder()
        self.reader = reader
        self.tensors: dict[str, Array] = {}
        self.views: dict[str, Array] = {}
        # by id; the tensor kept, so that no other takes its id
        self._known: dict[int, tuple[Tensor, Array, str]] = {}
        self._grounded = grounded
        self._operators = Operators(self.recorder, self.labels, self._by_tap)
        self._before = 0
        self._weights = {id(one): name for name, one in module.named_parameters()}

    def _by_tap(self, kernels: Tensor, groups: int) -> Matrix | None:
        name = self._weights.get(id(kernels))
        return None if name is None else self.reader.by_tap(name, kernels, groups)

    def labels(self, tensor: Tensor) -> Array | None:
        """Of a tensor that comes from the frames."""
        known = self._known.get(id(tensor))
        return known[1] if known else None

    def give(self, name: str, tensor: Tensor, time: int | None, batch: int | None) -> None:
        """An input of the module."""
        self.recorder.where = f"input {name}"
        self._learn(name, tensor, self.recorder.outside(tensor.shape, time, batch))

    def _learn(self, key: str, tensor: Tensor, labels: Array, view: bool = False) -> None:
        self._known[id(tensor)] = tensor, labels, key
        (self.views if view else self.tensors)[key] = labels

    def _refuse(self, does: str, rule: str) -> NoReturn:
        raise UserError(f"{self.where} {does}: {rule}")

    def _labelled(self, *items: Any) -> list[Array]:
        return [one for t in tensors(items) if (one := self.labels(t)) is not None]

    # Layers

    def layer(self, key: str, name: str, module: Any, args: Any, result: Any) -> Any:
        if not self._labelled(args):
            return result
        self.recorder.where = describe(name, module)
        owner = owner_of(self.recorder.where, name, module)
        if isinstance(module, nn.Linear):
            x = self.labels(args[0])
            matrix = self.reader.matrix(owner, "weight", 1)
            bias = self.reader.optional(owner, "bias")
            made = None if x is None else self.recorder.product(x, matrix, bias)
            work = result.numel() * module.in_features
            self._results(key, [result], made, self._labelled(args), work)
        elif isinstance(module, DescribedCell):
            self._described(key, owner, module, args, result)
        else:
            kind = Kind(_cell(module), module.num_layers, module.bidirectional, module.batch_first)
            start = args[1] if len(args) > 1 else None
            self._recurrent(key, owner, kind, args[0], start, result)
        return result

    def _described(
        self, key: str, owner: Owner, module: DescribedCell, args: Any, result: Any
    ) -> None:
        x = self._time_first(args[0], module.batch_first)
        if len(args) > 1 and args[1] is not None:
            self._on_host(key, result, self._labelled(args), "is given a state")
            return
        made = None
        if x is not None:
            made = self.recorder.recurrent(x, self.reader.described(owner, module))
        if made is None:
            self._on_host(key, result, self._labelled(args), "does not run along the frames' time")
            return
        self._learn(f"{key}.0", result[0], self._as(args[0], made[0], module.batch_first))

    def _time_first(self, tensor: Tensor, batch_first: bool) -> Array | None:
        """Labels (time, batch, values) of what a recurrent layer reads."""
        x = self.labels(tensor)
        if x is None:
            return None
        x = x[:, None] if x.ndim == 2 else np.swapaxes(x, 0, 1) if batch_first else x
        origin = self.recorder.space.origin(x)
        if tensor.dim() == 2 and varies(origin.sequences, 0):
            raise WrongAxis(
                f"{self.where} reads one frame of each sequence (batch, values) as one sequence "
                "(time, values): give it a whole sequence"
            )
        if varies(origin.sequences, 0) or (varies(origin.times, 1) and not varies(origin.times, 0)):
            raise WrongAxis(
                f"{self.where} has batch_first={batch_first}, but its input has the "
                f"{'time' if batch_first else 'batch'} axis first: it would run over the batch "
                "instead of time; set batch_first alike, or transpose between"
            )
        return x

    @staticmethod
    def _as(tensor: Tensor, labels: Array, batch_first: bool) -> Array:
        """(time, batch, values) in the order of a layer's input."""
        if tensor.dim() == 2:
            return labels[:, 0]
        return np.swapaxes(labels, 0, 1) if batch_first else labels

    def _recurrent(
        self, key: str, owner: Owner, kind: Kind, tensor: Tensor, start: Any, result: Any
    ) -> None:
        """Stacked layers, one direction or both."""
        outputs, *ends = tensors(result)
        try:
            x = self._time_first(tensor, kind.batch_first)
            if x is None:
                raise OnHost("reads what does not come from the frames")
            if self._grounded:
                x = self._from_host(tensor, x, kind.batch_first)
            made, states = self._stacked(owner, kind, x, list(tensors(start)))
        except OnHost as why:
            self.recorder.refuse(str(why))
            weights = [owner.get(one) for one in _WEIGHTS]
            count = kind.layers * (1 + kind.bidirectional)
            work = count * sum(one.numel() for one in weights if one is not None)
            steps = int(np.prod(tensor.shape[:-1]))
            self._on_host(key, result, self._labelled(tensor, start), str(why), steps * work)
            return
        self._learn(f"{key}.0", outputs, self._as(tensor, made, kind.batch_first))
        for number, (end, labels) in enumerate(zip(ends, states, strict=True)):
            unbatched = tensor.dim() == 2
            self._learn(f"{key}.{number + 1}", end, labels[:, 0] if unbatched else labels)

    def _from_host(self, tensor: Tensor, labels: Array, batch_first: bool) -> Array:
        """What a layer reads as a tensor that the host makes, where no frames are seen in it."""
        framed = self.recorder.space.framed(labels, [2])
        if framed is not None and framed.frames == len(labels):
            return labels
        made = self.recorder.outside(labels.shape, 0, 1, labels)
        self.tensors[self._known[id(tensor)][2]] = self._as(tensor, made, batch_first)
        return made

    def _stacked(
        self, owner: Owner, kind: Kind, x: Array, start: Sequence[Tensor]
    ) -> tuple[Array, list[Array]]:
        """Outputs (time, batch, values), and end states (layers * directions, batch, values)."""
        ends: list[list[Array]] = [[] for _ in kind.states]
        for index in range(kind.layers):
            ways = []
            for way, suffix in enumerate(("", "_reverse") if kind.bidirectional else ("",)):
                layer = self.reader.layer(owner, kind, f"_l{index}{suffix}")
                row = index * (1 + kind.bidirectional) + way
                rows = [
                    (t[row], None if (one := self.labels(t)) is None else one[row]) for t in start
                ]
                known, given = self._starts(owner, kind, rows)
                initial = tuple(known.get(name) for name in layer.cell.remembered)
                layer = replace(layer, backward=way == 1, initial=initial)
                made = self.recorder.recurrent(x, layer, given, kind.states[1:])
                if made is None:
                    raise OnHost("does not run along the time of the frames")
                ways.append(made)
                for end, one in zip(ends, made, strict=True):
                    end.append(one[0 if way else -1])
            x = np.concatenate([made[0] for made in ways], axis=2)
        return x, [np.stack(end) for end in ends]

    def _starts(
        self, owner: Owner, kind: Kind, rows: Sequence[tuple[Tensor, Array | None]]
    ) -> tuple[dict[str, Array], list[tuple[str, Vector]]]:
        """Constant initial states by name, and those that come from outside.

        rows: each (batch, values), and its labels.
        """
        known, given = {}, []
        for name, (tensor, labels) in zip(kind.states, rows, strict=False):
            if labels is None:
                values = _one_state(owner, tensor)
                known |= {} if values is None else {name: values}
                continue
            begun = self.recorder.state(np.atleast_2d(labels))
            if begun is None:
                raise OnHost("takes its initial state from what is no input of the module")
            given.append((name, begun))
        return known, given

    # Operations

    def operation(self, key: str, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        labelled = self._labelled(args, kwargs)
        if labelled and any(
            frame.f_code.co_name in _PACKING for frame, _ in walk_stack(currentframe())
        ):
            self._refuse(
                "packs sequences of different lengths",
                "import the module without packing; time runs forward, so frames that pad the end "
                "change no output before them, and ernn.ir.reference.run_all takes utterances of "
                "any lengths",
            )
        if not labelled or name in FACTS:
            return func(*args, **kwargs)
        if name in TAKES_OUT:
            self._refuse(
                f"takes numbers out of the frames by {name}",
                "what follows from them cannot be seen; stay with torch's operations, and without "
                "branches on values",
            )
        self.recorder.where = f"{name} in {self.where}"
        self._before = len(self.recorder.signals)
        if name == "setitem":
            return self._set(key, func, args)
        result = func(*args, **kwargs)
        self._after(key, name, func, args, kwargs, result, labelled)
        return result

    def _after(
        self, key: str, name: str, func: Any, args: Any, kwargs: Any, result: Any, read: list[Array]
    ) -> None:
        try:
            if self._operators.copies(name, func, args, kwargs, result):
                self._learn(f"{key}.0", result, read[0], view=True)
            elif name in VIEWS:
                moved = self._operators.view(name, func, args, kwargs)
                for number, (one, labels) in enumerate(
                    zip(tensors(result), tensors(moved), strict=True)
                ):
                    self._check_batch(name, read, labels.numpy())
                    self._learn(f"{key}.{number}", one, labels.numpy(), view=True)
            elif name in _RECURRENT:
                self._called(key, name, args, result)
            elif name in _CELLS:
                self._cell(key, name, args, kwargs, result)
            else:
                made = self._operators.computed(name, args, kwargs)
                self._results(key, list(tensors(result)), made, read, _work(name, args, result))
        except UserError:
            raise
        except Exception as why:  # called otherwise than is known here; the host can
            said = str(why) if isinstance(why, OnHost) else "is called in a way that is not known"
            self._on_host(key, result, read, said)

    def _check_batch(self, name: str, read: list[Array], labels: Array) -> None:
        """No view takes one sequence of a batch."""
        space = self.recorder.space
        before = max(space.origin(one).sequences.max() for one in read)
        now = space.origin(labels).sequences
        some = np.unique(now[now >= 0])
        if name in _TAKING and 0 < len(some) <= before:
            raise OneSequence(
                f"{self.where} takes one sequence of the batch by {name}: that is not a step in "
                "time; the last step is [:, -1] where the batch comes first"
            )

    def _results(
        self, key: str, found: list[Tensor], made: Array | None, read: list[Array], work: int
    ) -> None:
        if made is None:
            self._on_host(key, found, read, "", work)
        else:
            times = self.recorder.space.origin(made).times
            known = len(self.recorder.signals) == self._before
            step = known and not any(varies(times, axis) for axis in range(made.ndim))
            self._learn(f"{key}.0", found[0], made, view=step)  # a step of a loop holds no signal

    def _on_host(
        self, key: str, result: Any, read: Sequence[Array], why: str, work: int = 0
    ) -> None:
        for number, one in enumerate(tensors(result)):
            labels = self.recorder.on_host(one.shape, read, why, 0 if number else work)
            self._learn(f"{key}.{number}", one, labels)

    def _set(self, key: str, func: Any, args: Any) -> Any:
        """`x[index] = y`: x's labels, zeros where it has none, with y's in their places."""
        target, index, value = args
        labels, given = (
            self.labels(target),
            self.labels(value) if isinstance(value, Tensor) else None,
        )
        before = labels if labels is not None else None
        if before is None and target.any():
            self._refuse("writes frames into a tensor of numbers", "begin with zeros")
        result = func(*args)
        made = np.full(target.shape, -1) if before is None else before.copy()
        if given is None:
            if (value != 0) if not isinstance(value, Tensor) else value.any():
                self._refuse("writes numbers into the frames", "leave them as they are")
            made[_numpy(index)] = -1
        else:
            made[_numpy(index)] = given
        self._known[id(target)] = target, made, ""
        return result

    def _called(self, key: str, name: str, args: Any, result: Any) -> None:
        """`torch.lstm` and its like, with all weights in a list."""
        x, start, weights, biased, layers, *_, both, batch_first = args
        owner = self._owner(_by_attribute(weights, biased, layers, both))
        self._recurrent(key, owner, Kind(name, layers, both, batch_first), x, start, result)

    def _owner(self, weights: Mapping[str, Tensor]) -> Owner:
        """Of weights that an operation is given."""
        return Owner(
            self.recorder.where,
            lambda attribute: self._weights.get(id(weights.get(attribute)), attribute),
            weights.get,
        )

    def _cell(self, key: str, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """One step of a cell: the same layer in every call, each of the next frame."""
        x, start, *rest = args
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        given = [*rest, *(kwargs[one] for one in ("w_ih", "w_hh", "b_ih", "b_hh") if one in kwargs)]
        weights = {one: w for one, w in zip(names, given, strict=False) if w is not None}
        kind, owner, labels = Kind(_CELLS[name]), self._owner(weights), self.labels(x)
        if labels is None:
            raise OnHost("reads what does not come from the frames")
        rows = [(tensor, self.labels(tensor)) for tensor in tensors(start)]

        def make() -> tuple[Layer, list[tuple[str, Vector]]]:
            layer = self.reader.layer(owner, kind, "_l0")
            known, begun = self._starts(owner, kind, rows)
            return replace(layer, initial=tuple(map(known.get, layer.cell.remembered))), begun

        before = [None if one is None else np.atleast_2d(one) for _, one in rows]
        identity = tuple(map(id, weights.values()))
        made = self.recorder.step(identity, np.atleast_2d(labels), before, make, kind.states[1:])
        if made is None:
            raise OnHost("is not called frame after frame with the state of the frame before")
        for number, (one, found) in enumerate(zip(tensors(result), made, strict=True)):
            self._learn(f"{key}.{number}", one, found.reshape(one.shape), view=True)

    def traced(self, result: Any) -> Traced:
        """The graph that ends in the module's result."""
        found = {name: self.labels(one) for name, one in results(result).items()}
        if all(labels is None for labels in found.values()):
            self._refuse("gives nothing that comes from the frames", "return the outputs")
        return Traced(self.recorder, self.tensors, found, self.views)


_WEIGHTED = {"multi_head_attention_forward", "bilinear", "conv_transpose1d"}
"""Operations of the host that use each weight once a frame."""
_CELLS = {
    "lstm_cell": "lstm", "gru_cell": "gru", "rnn_tanh_cell": "rnn_tanh", "rnn_relu_cell": "rnn_relu"
}  # fmt: skip
_WEIGHTS = ("weight_ih_l0", "weight_hh_l0", "weight_hr_l0")
_TAKING = {"getitem", "select", "narrow", "slice", "index_select", "take"}
_RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu"}


def results(result: Any) -> dict[str, Tensor]:
    """The tensors that a module gives, by their keys in a dictionary or by their places."""
    if isinstance(result, dict):
        return {
            str(key) if len(own) == 1 else f"{key} {number}": tensor
            for key, value in result.items()
            for own in [list(tensors(value))]
            for number, tensor in enumerate(own)
        }
    return {f"output {number}": tensor for number, tensor in enumerate(tensors(result))}


def _work(name: str, args: Any, result: Any) -> int:
    """Multiplications by weights, of products and convolutions."""
    if name in _WEIGHTED:
        used = [one for one in tensors(args) if isinstance(one, nn.Parameter) and one.dim() > 1]
        return int(np.prod(args[0].shape[:-1])) * sum(one.numel() for one in used)
    weight = args[1] if len(args) > 1 else None
    if not isinstance(weight, Tensor) or not isinstance(result, Tensor) or weight.dim() < 2:
        return 0
    if name in ("linear", "conv1d", "conv2d"):
        return result.numel() * weight[0].numel()
    return result.numel() * weight.shape[0] if name in ("matmul", "mm") else 0


def _cell(module: nn.Module) -> str:
    if isinstance(module, nn.LSTM | PeepholeLSTM):
        return "lstm"
    return "gru before" if isinstance(module, ResetBeforeGRU) else "gru"


def _by_attribute(
    weights: Sequence[Tensor], biased: bool, layers: int, both: bool
) -> dict[str, Tensor]:
    """Weights in torch's order, by the names that they have in a module."""
    projected = len(weights) // layers // (1 + both) - 2 * biased > 2
    kinds = ["weight_ih", "weight_hh", *["bias_ih", "bias_hh"] * biased, *["weight_hr"] * projected]
    suffixes = [f"_l{n}{way}" for n in range(layers) for way in ("", "_reverse")[: 1 + both]]
    return dict(zip((f"{k}{s}" for s in suffixes for k in kinds), weights, strict=True))


def _one_state(owner: Owner, state: Tensor) -> Array | None:
    """The state of all sequences of a batch; None where it is zero."""
    rows = state.detach().cpu().double().numpy().reshape(-1, state.shape[-1])
    if not (rows == rows[0]).all():
        raise UserError(
            f"{owner.where} starts each sequence of the batch from another state: a network has "
            "one initial state"
        )
    return rows[0].copy() if rows[0].any() else None


def _numpy(index: Any) -> Any:
    """An index for an array."""
    if isinstance(index, tuple):
        return tuple(_numpy(one) for one in index)
    return index.cpu().numpy() if isinstance(index, Tensor) else index
