"""One sequence of real frames through the integers, from states that are given."""

from collections.abc import Collection, Mapping

import numpy as np

from ernn.errors import UserError
from ernn.golden.boundary import dequantize_output, quantize_input
from ernn.golden.compiled import Compiled
from ernn.golden.run import run
from ernn.golden.streaming import Stream
from ernn.ir.edges import edge_formats, edge_name
from ernn.ir.fixed_point import FixedFormat, dequantize, quantize
from ernn.ir.integer_model import IntegerModel
from ernn.ir.network import Source
from ernn.quantization.kept import READ

Array = np.ndarray


def executed(
    model: IntegerModel, frames: Array, starts: Mapping[tuple[int, str], Array]
) -> tuple[Array, dict[tuple[int, str], Array]]:
    """Outputs (time, outputs) of a sequence of real frames, and its states after the last.

    starts: states to begin with, by layer and name, in the place of the model's own.
    Raises UserError where a layer runs backward and there are states.
    """
    if model.backward and not starts:
        integers = quantize_input(model, frames)
        return dequantize_output(model, run(model, integers, Compiled)), {}
    stream = Stream(model)
    begin(model, stream, {edge_name(Source(*where)): one for where, one in starts.items()})
    outputs = dequantize_output(model, stream.push(quantize_input(model, frames)))
    state = state_of(model, stream)
    ends = {
        (layer, name): state[edge_name(Source(layer, name))][0]
        for layer, one in enumerate(model.layers)
        for name in one.cell.remembered
    }
    own = {
        (layer, name.removesuffix(READ.suffix)): values for (layer, name), values in ends.items()
    }
    return outputs, own | ends


def begin(model: IntegerModel, stream: Stream, state: Mapping[str, Array]) -> None:
    """Back to the state before the first frame, some values by edge not the model's own.

    state: (values,), of the last frame, or (frames, values), the last frame's first.  What the
    model remembers in another width, `l1.x_read` (`ernn.quantization.kept`), goes by `l1.x`, too.
    """
    stream.reset()
    own, formats, exponents = stream.state, _formats(model), _exponents(model)
    for name, values in state.items():
        copy = f"{name}{READ.suffix}"
        places = [one for one in (name, copy) if one in own and (one == name or one not in state)]
        if not places:
            names = ", ".join(own) or "nothing"
            raise UserError(f"the model remembers {names}, not {name}")
        for place in places:
            given = _checked(name, values, *own[place].shape)
            scaled = np.ldexp(given, exponents[place])
            integers = quantize(scaled, formats[place])
            own[place] = np.concatenate([integers, own[place][len(given) :]])
    known = {name: own[name] for name in state if name in own}
    stream.reset({**own, **_copies(model, known, own)})


def _checked(name: str, values: Array, count: int, length: int) -> Array:
    """A state's values (frames, length), as it was given."""
    given = np.atleast_2d(np.asarray(values, float))
    if given.shape[1:] != (length,) or not 0 < len(given) <= count:
        raise UserError(f"state {name} must be ({count}, {length}), not {np.shape(values)}")
    if not np.isfinite(given).all():
        raise UserError(f"state {name} is not finite")
    return given


def _copies(
    model: IntegerModel, state: Mapping[str, Array], remembered: Collection[str]
) -> dict[str, Array]:
    """What else is remembered of states that are given: copies, some with turned signs."""
    formats, exponents, known = _formats(model), _exponents(model), dict(state)
    for layer in model.layers:
        vectors = dict(zip(layer.cell.vectors, layer.vectors, strict=True))
        for step in layer.cell.steps:
            (first, *others), *more = (term.factors for term in step.terms)
            name, of = f"{layer.name}.{step.name}", f"{layer.name}.{first}"
            plain = all(one.name in vectors for one in others) and not more
            if step.activation or not plain or of not in known or name in known:
                continue
            values = np.ldexp(dequantize(known[of], formats[of]), exponents[name] - exponents[of])
            for one in others:
                values = values * dequantize(vectors[one.name], layer.format_of[one.name])
            known[name] = quantize(values, formats[name])
    return {name: values for name, values in known.items() if name in remembered}


def state_of(model: IntegerModel, stream: Stream) -> dict[str, Array]:
    """The state of now by edge, real numbers (frames, values), the last frame's first."""
    formats, exponents = _formats(model), _exponents(model)
    return {
        name: np.ldexp(dequantize(values, formats[name]), -exponents[name])
        for name, values in stream.state.items()
    }


def _formats(model: IntegerModel) -> dict[str, FixedFormat]:
    """Of everything that a layer may remember."""
    known = edge_formats(model)
    return known | {name: known[source] for name, source in _given(model).items()}


def _exponents(model: IntegerModel) -> dict[str, Array]:
    """Likewise, the powers of two that numbers are multiplied with."""
    given = {name: model.exponents(source) for name, source in _given(model).items()}
    return {name: model.exponents(name) for name in edge_formats(model)} | given


def _given(model: IntegerModel) -> dict[str, str]:
    """Names of what layers are given, and where that comes from."""
    return {
        f"{layer.name}.{name}": source
        for layer in model.layers
        for name, source in zip(layer.cell.inputs, layer.inputs, strict=True)
    }
