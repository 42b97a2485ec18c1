"""The contract's docstring evaluated value by value in Python integers and fractions: slow, and
nothing shared.

Real values are `Fraction`; `req` is the only rounding.  No NumPy arithmetic and nothing of
`ernn.golden` is used.
"""

from collections.abc import Callable
from fractions import Fraction
from math import floor

from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import (
    ActivationTable,
    IntegerGru,
    IntegerLinear,
    IntegerLstm,
    IntegerModel,
    Product,
    Signal,
    Transform,
)

Vector = list[int]


def req(value: Fraction, target: FixedFormat) -> int:
    return min(
        max(floor(value * Fraction(2) ** target.frac + Fraction(1, 2)), target.low), target.high
    )


def real(value: int, format: FixedFormat) -> Fraction:
    return Fraction(int(value)) / Fraction(2) ** format.frac


def stages(transform: Transform, v: Vector) -> Vector:
    for stage in transform.stages:
        new = []
        for row, by in zip(stage.matrix.tolist(), stage.shift.tolist(), strict=True):
            exact = sum(a * b for a, b in zip(row, v, strict=True))
            new.append(floor(Fraction(exact, 2**by) + Fraction(1, 2)) if by else exact)
        v = new
    return v


def spectrum(model: IntegerModel, signal: Signal, values: Vector) -> list[Vector]:
    k, guard = model.block, model.forward.guard
    padded = values + [0] * (-len(values) % k)
    words = [padded[at : at + k] for at in range(0, len(padded), k)]
    scale = Fraction(2) ** (signal.format.frac + guard)
    return [
        [
            req(v / scale, signal.spectrum)
            for v in map(Fraction, stages(model.forward, [w * 2**guard for w in word]))
        ]
        for word in words
    ]


def as_complex(word: Vector) -> list[tuple[int, int]]:
    """Packed to [(re, im)] of X0 .. X(k/2)."""
    if len(word) == 1:
        return [(word[0], 0)]
    inner = [(word[i], word[i + 1]) for i in range(2, len(word), 2)]
    return [(word[0], 0), *inner, (word[1], 0)]


def as_packed(bins: list[tuple[int, int]], k: int) -> Vector:
    if k == 1:
        return [bins[0][0]]
    return [bins[0][0], bins[-1][0], *[part for pair in bins[1:-1] for part in pair]]


def product(
    model: IntegerModel, made: Product, spectra: dict[str, list[Vector]]
) -> list[list[Fraction]]:
    """Real values of every gate's outputs."""
    k, gates = model.block, []
    for gate in range(made.gates):
        out: list[Fraction] = []
        for row in range(made.block_rows):
            bins = [(0, 0)] * (k // 2 + 1)
            frac = 0
            for operand in made.operands:
                spectral = model.signal(operand.signal).spectrum
                frac = spectral.frac + operand.matrix.format.frac
                for column, word in enumerate(spectra[operand.signal]):
                    weights = as_complex(operand.matrix.weights[gate, row, column].tolist())
                    for f, ((a, b), (c, d)) in enumerate(
                        zip(weights, as_complex(word), strict=True)
                    ):
                        bins[f] = bins[f][0] + a * c - b * d, bins[f][1] + a * d + b * c
            total = as_packed(bins, k)
            rows = [req(Fraction(v) / Fraction(2) ** frac, made.rows) for v in total]
            after = [
                Fraction(v) / Fraction(2) ** made.rows.frac / k for v in stages(model.inverse, rows)
            ]
            out += [real(req(v, made.output), made.output) for v in after[: made.kept]]
        gates.append(out[: made.length])
    return gates


def activation(table: ActivationTable, v: int) -> Fraction:
    low_bits = table.input.width - table.segment_bits
    segment, rest = divmod(v - table.input.low, 2**low_bits)
    line = int(table.base[segment]) + Fraction(
        int(table.slope[segment]) * rest, 2**table.slope_shift
    )
    return real(req(line / Fraction(2) ** table.output.frac, table.output), table.output)


class Exact:
    """A model without bidirectional layers, frame by frame; values are integers in their signals'
    formats.
    """

    def __init__(self, model: IntegerModel) -> None:
        self.model = model
        self.state: dict[str, Vector] = {}
        for layer in model.layers:
            if not isinstance(layer, IntegerLinear):
                self._begin(layer.output, model.signal(layer.output).length, layer.initial_output)
            if isinstance(layer, IntegerLstm):
                self._begin(f"{layer.name}.c", layer.hidden_size, layer.initial_cell)

    def _begin(self, name: str, length: int, start) -> None:
        self.state[name] = [0] * length if start is None else start.tolist()

    def frame(self, x: Vector) -> Vector:
        for layer in self.model.layers:
            match layer:
                case IntegerLstm():
                    x = self._lstm(layer, x)
                case IntegerGru():
                    x = self._gru(layer, x)
                case IntegerLinear():
                    x = self._linear(layer, x)
        return x

    def _spectrum(self, name: str, values: Vector) -> list[Vector]:
        return spectrum(self.model, self.model.signal(name), values)

    def _gate(self, table: ActivationTable, sums: list[Fraction]) -> list[Fraction]:
        return [activation(table, req(v, self.model.activation_input)) for v in sums]

    def _reals(self, name: str, values: Vector) -> list[Fraction]:
        return [real(v, self.model.signal(name).format) for v in values]

    def _req(self, name: str, values: list[Fraction]) -> Vector:
        return [req(v, self.model.signal(name).format) for v in values]

    def _lstm(self, layer: IntegerLstm, x: Vector) -> Vector:
        model, n = self.model, range(layer.hidden_size)
        spectra = {layer.input: self._spectrum(layer.input, x)}
        spectra[layer.output] = self._spectrum(layer.output, self.state[layer.output])
        p = product(model, layer.gates, spectra)
        b = [[real(v, layer.gates.output) for v in gate] for gate in layer.bias.tolist()]
        peep: Callable[[int, int], Fraction] = lambda gate, j: (  # noqa: E731
            Fraction(0)
            if layer.peephole is None
            else real(layer.peephole[gate, j], layer.peephole_format)
        )
        c = [real(v, layer.cell) for v in self.state[f"{layer.name}.c"]]
        i = self._gate(model.sigmoid, [p[0][j] + b[0][j] + peep(0, j) * c[j] for j in n])
        f = self._gate(model.sigmoid, [p[1][j] + b[1][j] + peep(1, j) * c[j] for j in n])
        g = self._gate(model.tanh, [p[2][j] + b[2][j] for j in n])
        cell = [req(f[j] * c[j] + i[j] * g[j], layer.cell) for j in n]
        new = [real(v, layer.cell) for v in cell]
        o = self._gate(model.sigmoid, [p[3][j] + b[3][j] + peep(2, j) * new[j] for j in n])
        t = self._gate(model.tanh, new)
        out = self._req(layer.cell_output, [o[j] * t[j] for j in n])
        if layer.projection is not None:
            m = {layer.cell_output: self._spectrum(layer.cell_output, out)}
            out = self._req(layer.output, product(model, layer.projection, m)[0])
        self.state[layer.output], self.state[f"{layer.name}.c"] = out, cell
        return out

    def _gru(self, layer: IntegerGru, x: Vector) -> Vector:
        model, n = self.model, range(layer.hidden_size)
        before = self.state[layer.output]
        h = self._reals(layer.output, before)
        spectra = {
            layer.input: self._spectrum(layer.input, x),
            layer.output: self._spectrum(layer.output, before),
        }
        p = product(model, layer.gates, spectra)
        b = [[real(v, layer.gates.output) for v in gate] for gate in layer.bias[:2].tolist()]
        r, z = (self._gate(model.sigmoid, [p[q][j] + b[q][j] for j in n]) for q in (0, 1))
        if layer.reset == "after":
            q = product(model, layer.candidate, spectra)[0]
            format = layer.candidate.output
            u = [real(req(q[j] + real(layer.candidate_bias[j], format), format), format) for j in n]
            base = product(model, layer.candidate_input, spectra)[0]
            sums = [
                base[j] + real(layer.bias[2, j], layer.candidate_input.output) + r[j] * u[j]
                for j in n
            ]
        else:
            s = self._req(layer.reset_state, [r[j] * h[j] for j in n])
            spectra[layer.reset_state] = self._spectrum(layer.reset_state, s)
            q = product(model, layer.candidate, spectra)[0]
            sums = [q[j] + real(layer.bias[2, j], layer.candidate.output) for j in n]
        new = self._gate(model.tanh, sums)
        out = self._req(layer.output, [z[j] * h[j] - z[j] * new[j] + new[j] for j in n])
        self.state[layer.output] = out
        return out

    def _linear(self, layer: IntegerLinear, x: Vector) -> Vector:
        p = product(self.model, layer.product, {layer.input: self._spectrum(layer.input, x)})[0]
        bias = [real(v, layer.product.output) for v in layer.bias.tolist()]
        return self._req(layer.output, [a + b for a, b in zip(p, bias, strict=True)])
