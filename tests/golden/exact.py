"""The contract's docstring evaluated value by value in Python integers and fractions: slow, and
nothing shared.

Real values are `Fraction`; `req` is the only rounding.  No NumPy arithmetic and nothing of
`ernn.golden` is used.
"""

import re
from fractions import Fraction
from math import floor

from ernn.ir.fixed_point import FixedFormat
from ernn.ir.integer_model import IntegerLayer, IntegerModel
from ernn.ir.integer_parts import ActivationTable, Product, Signal, Transform

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
    padded, parts = values + [0] * (-len(values) % k), model.parts[signal.name]
    words = [padded[at : at + k] for at in range(0, len(padded), k)]
    words = [
        [w[s * (k // parts) + a] for a in range(k // parts) for s in range(parts)] for w in words
    ]
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
                if made.exponents is not None:
                    frac += int(made.exponents[gate, row])
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
            kept = [after[a * (k // made.kept)] for a in range(made.kept)]
            out += [real(req(v, made.output), made.output) for v in kept]
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
    """A chain of LSTM, GRU and linear layers, frame by frame, each cell written from its paper;
    values are integers in their signals' formats.
    """

    def __init__(self, model: IntegerModel) -> None:
        self.model = model
        self.state: dict[str, Vector] = {}
        self.given = ""  # the name of what the next layer reads
        for layer in model.layers:
            for name in layer.cell.remembered:
                start = dict(zip(layer.cell.remembered, layer.initial, strict=False)).get(name)
                zero = [0] * layer.lengths[name]
                self.state[f"{layer.name}.{name}"] = zero if start is None else start.tolist()

    def frame(self, x: Vector) -> Vector:
        self.given = self.model.input.name
        for layer in self.model.layers:
            kind = layer.cell.title.split(",")[0]
            x = {"LSTM": self._lstm, "GRU": self._gru, "linear": self._linear}[kind](layer, x)
            self.given = f"{layer.name}.h"
        return x

    def _spectra(self, layer: IntegerLayer, values: dict[str, Vector]) -> dict[str, list[Vector]]:
        """Of signals, and of copies of them that matrices of other block sizes read."""
        found = {}
        for name, vector in values.items():
            real_values = [real(v, self.model.signal(name).format) for v in vector]
            starts = f"{name}_in", f"{layer.name}.{name}_in"
            for signal in self.model.signals:
                if signal.spectrum and (signal.name == name or signal.name.startswith(starts)):
                    own = [req(v, signal.format) for v in real_values]
                    found[signal.name] = spectrum(self.model, signal, own)
        return found

    def _gate(self, function: str, sums: list[Fraction]) -> list[Fraction]:
        table = next(one for one in self.model.tables if one.function == function)
        return [activation(table, req(v, table.input)) for v in sums]

    def _req(self, name: str, values: list[Fraction]) -> Vector:
        return [req(v, self.model.signal(name).format) for v in values]

    def _product(self, layer: IntegerLayer, name: str, spectra: dict) -> list[list[Fraction]]:
        """A product's values, gate by gate, its bias added; in several block sizes it is the
        sum of a product for each.
        """
        terms = []
        for one, made, bias in zip(layer.cell.products, layer.products, layer.biases, strict=True):
            if one.name == name or re.fullmatch(rf"{name}_in\d+", one.name):
                terms.append(product(self.model, made, spectra))
                if bias is not None:
                    terms.append([[real(b, made.output) for b in row] for row in bias.tolist()])
        return [[sum(v) for v in zip(*gate, strict=True)] for gate in zip(*terms, strict=True)]

    def _format(self, layer: IntegerLayer, step: str) -> FixedFormat:
        return layer.formats[[one.name for one in layer.cell.steps].index(step)]

    def _peephole(self, layer: IntegerLayer, gate: str) -> list[Fraction]:
        if not layer.vectors:
            return [Fraction(0)] * layer.products[0].length
        at = layer.cell.vectors.index(f"p_{gate}")
        return [real(v, layer.vector_formats[at]) for v in layer.vectors[at].tolist()]

    def _lstm(self, layer: IntegerLayer, x: Vector) -> Vector:
        n, h, c_ = range(layer.products[0].length), f"{layer.name}.h", f"{layer.name}.c"
        spectra = self._spectra(layer, {self.given: x, h: self.state[h]})
        p, cell = self._product(layer, "gates", spectra), self._format(layer, "c")
        p_i, p_f, p_o = (self._peephole(layer, gate) for gate in "ifo")
        c = [real(v, cell) for v in self.state[c_]]
        i = self._gate("sigmoid", [p[0][j] + p_i[j] * c[j] for j in n])
        f = self._gate("sigmoid", [p[1][j] + p_f[j] * c[j] for j in n])
        g = self._gate("tanh", p[2])
        self.state[c_] = [req(f[j] * c[j] + i[j] * g[j], cell) for j in n]
        new = [real(v, cell) for v in self.state[c_]]
        o = self._gate("sigmoid", [p[3][j] + p_o[j] * new[j] for j in n])
        t = self._gate("tanh", new)
        projected = "m" in [step.name for step in layer.cell.steps]
        m = f"{layer.name}.m" if projected else h
        out = self._req(m, [o[j] * t[j] for j in n])
        if projected:
            out = self._req(
                h, self._product(layer, "projection", self._spectra(layer, {m: out}))[0]
            )
        self.state[h] = out
        return out

    def _gru(self, layer: IntegerLayer, x: Vector) -> Vector:
        n, name = range(layer.products[0].length), f"{layer.name}.h"
        before, s_ = self.state[name], f"{layer.name}.s"
        h = [real(v, self.model.signal(name).format) for v in before]
        spectra = self._spectra(layer, {self.given: x, name: before})
        r, z = (self._gate("sigmoid", p) for p in self._product(layer, "gates", spectra))
        if "u" in [step.name for step in layer.cell.steps]:
            format = self._format(layer, "u")
            q = self._product(layer, "candidate", spectra)[0]
            u = [real(req(v, format), format) for v in q]
            base = self._product(layer, "candidate_input", spectra)[0]
            sums = [base[j] + r[j] * u[j] for j in n]
        else:
            s = self._req(s_, [r[j] * h[j] for j in n])
            sums = self._product(layer, "candidate", spectra | self._spectra(layer, {s_: s}))[0]
        new = self._gate("tanh", sums)
        out = self._req(name, [z[j] * h[j] - z[j] * new[j] + new[j] for j in n])
        self.state[name] = out
        return out

    def _linear(self, layer: IntegerLayer, x: Vector) -> Vector:
        spectra = self._spectra(layer, {self.given: x})
        return self._req(f"{layer.name}.h", self._product(layer, "product", spectra)[0])
