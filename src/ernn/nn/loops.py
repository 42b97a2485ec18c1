"""The element-wise part of one time step of each cell, forward and backward, as compiled loops.

Arrays are (parts, slots, n): n units times batch, contiguous; slots are gates.  `parts` is the
block size (units in the order of `ernn.nn.order`), 1 for dense layers.  Each loop writes one array
and works on a strip that stays in the first level cache: only so does the compiler make vector code
without being told that arrays do not overlap.
"""

from numba import njit

from ernn.ir.network import Array
from ernn.nn.activations import ONE, logistic, tanh

STRIP = 1024  # elements

# Not "nnan" and "ninf": a diverged training must be seen.  Not "reassoc": the process that compiles
# would then add in another order than those that load the code from the cache, and a training that
# is resumed differ in its last bits.
compiled = njit(cache=True, nogil=True, fastmath={"contract", "nsz", "arcp"}, error_model="numpy")


@compiled
def _logistic_with(a: Array, bias: Array) -> None:
    for e in range(a.size):
        a[e] = logistic(a[e] + bias[e])


@compiled
def _logistic_looking(a: Array, bias: Array, peephole: Array, cell: Array) -> None:
    for e in range(a.size):
        a[e] = logistic(a[e] + bias[e] + peephole[e] * cell[e])


@compiled
def _tanh_with(a: Array, bias: Array) -> None:
    for e in range(a.size):
        a[e] = tanh(a[e] + bias[e])


@compiled
def _next_cell(i: Array, f: Array, g: Array, before: Array, after: Array) -> None:
    for e in range(after.size):
        after[e] = f[e] * before[e] + i[e] * g[e]


@compiled
def _times_tanh(o: Array, cell: Array, out: Array) -> None:
    for e in range(out.size):
        out[e] = o[e] * tanh(cell[e])


@compiled
def lstm_step(
    gates: Array, bias: Array, peephole: Array, before: Array, after: Array, out: Array
) -> None:
    """gates (parts, 4, n): the products i, f, g, o on entry, the gates' values on return. `before`,
    `after`: the cell.

    peephole (parts, 3, n), or (parts, 0, n) for none. out (parts, n): the cell's output m.
    """
    looking = peephole.shape[1] > 0
    for j in range(gates.shape[0]):
        for start in range(0, gates.shape[2], STRIP):
            s = slice(start, min(start + STRIP, gates.shape[2]))
            i, f, g, o = gates[j, 0, s], gates[j, 1, s], gates[j, 2, s], gates[j, 3, s]
            if looking:
                _logistic_looking(i, bias[j, 0, s], peephole[j, 0, s], before[j, s])
                _logistic_looking(f, bias[j, 1, s], peephole[j, 1, s], before[j, s])
            else:
                _logistic_with(i, bias[j, 0, s])
                _logistic_with(f, bias[j, 1, s])
            _tanh_with(g, bias[j, 2, s])
            _next_cell(i, f, g, before[j, s], after[j, s])
            if looking:
                _logistic_looking(o, bias[j, 3, s], peephole[j, 2, s], after[j, s])
            else:
                _logistic_with(o, bias[j, 3, s])
            _times_tanh(o, after[j, s], out[j, s])


@compiled
def _d_output_gate(o: Array, cell: Array, d_out: Array, d: Array) -> None:
    for e in range(d.size):
        d[e] = d_out[e] * tanh(cell[e]) * o[e] * (ONE - o[e])


@compiled
def _d_cell(o: Array, cell: Array, d_out: Array, d_cell: Array) -> None:
    for e in range(d_cell.size):
        t = tanh(cell[e])
        d_cell[e] += d_out[e] * o[e] * (ONE - t * t)


@compiled
def _d_logistic(value: Array, factor: Array, d_value: Array, d: Array) -> None:
    for e in range(d.size):
        d[e] = d_value[e] * factor[e] * value[e] * (ONE - value[e])


@compiled
def _d_tanh(value: Array, factor: Array, d_value: Array, d: Array) -> None:
    for e in range(d.size):
        d[e] = d_value[e] * factor[e] * (ONE - value[e] * value[e])


@compiled
def _scale(a: Array, factor: Array) -> None:
    for e in range(a.size):
        a[e] *= factor[e]


@compiled
def _add(total: Array, a: Array) -> None:
    for e in range(total.size):
        total[e] += a[e]


@compiled
def _add_product(total: Array, a: Array, b: Array) -> None:
    for e in range(total.size):
        total[e] += a[e] * b[e]


@compiled
def lstm_step_back(
    gates: Array,
    peephole: Array,
    before: Array,
    after: Array,
    d_out: Array,
    d_cell: Array,
    d: Array,
    d_bias: Array,
    d_peephole: Array,
) -> None:
    """The reverse of `lstm_step`.

    d_out (parts, n): gradient of m. d_cell (parts, n): of the cell after on entry, of the cell
    before on return. d (parts, 4, n) receives the gradient of the products; `d_bias` and
    `d_peephole` are added to.
    """
    looking = peephole.shape[1] > 0
    for j in range(gates.shape[0]):
        for start in range(0, gates.shape[2], STRIP):
            s = slice(start, min(start + STRIP, gates.shape[2]))
            i, f, g, o = gates[j, 0, s], gates[j, 1, s], gates[j, 2, s], gates[j, 3, s]
            c, c_before, dc = after[j, s], before[j, s], d_cell[j, s]
            _d_output_gate(o, c, d_out[j, s], d[j, 3, s])
            _d_cell(o, c, d_out[j, s], dc)
            if looking:
                _add_product(dc, peephole[j, 2, s], d[j, 3, s])
                _add_product(d_peephole[j, 2, s], d[j, 3, s], c)
            _d_logistic(i, g, dc, d[j, 0, s])
            _d_logistic(f, c_before, dc, d[j, 1, s])
            _d_tanh(g, i, dc, d[j, 2, s])
            _scale(dc, f)
            for gate in range(4):
                _add(d_bias[j, gate, s], d[j, gate, s])
            if looking:
                for gate in range(2):
                    _add_product(dc, peephole[j, gate, s], d[j, gate, s])
                    _add_product(d_peephole[j, gate, s], d[j, gate, s], c_before)


@compiled
def _logistic_of_sum(a: Array, b: Array, bias: Array) -> None:
    for e in range(a.size):
        a[e] = logistic(a[e] + b[e] + bias[e])


@compiled
def _tanh_of_sum(a: Array, b: Array, bias: Array) -> None:
    for e in range(a.size):
        a[e] = tanh(a[e] + b[e] + bias[e])


@compiled
def _sum(a: Array, bias: Array, out: Array) -> None:
    for e in range(out.size):
        out[e] = a[e] + bias[e]


@compiled
def _candidate(n: Array, bias: Array, r: Array, q: Array) -> None:
    for e in range(n.size):
        n[e] = tanh(n[e] + bias[e] + r[e] * q[e])


@compiled
def _blend(n: Array, z: Array, before: Array, after: Array) -> None:
    for e in range(after.size):
        after[e] = n[e] + z[e] * (before[e] - n[e])


@compiled
def _product(a: Array, b: Array, out: Array) -> None:
    for e in range(out.size):
        out[e] = a[e] * b[e]


@compiled
def _copy(a: Array, out: Array) -> None:
    for e in range(out.size):
        out[e] = a[e]


@compiled
def _d_candidate(n: Array, z: Array, d_state: Array, d: Array) -> None:
    for e in range(d.size):
        d[e] = d_state[e] * (ONE - z[e]) * (ONE - n[e] * n[e])


@compiled
def _d_update(n: Array, z: Array, before: Array, d_state: Array, d: Array) -> None:
    for e in range(d.size):
        d[e] = d_state[e] * (before[e] - n[e]) * z[e] * (ONE - z[e])


@compiled
def gru_after_step(
    gates: Array, recurrent: Array, bias: Array, q: Array, before: Array, after: Array
) -> None:
    """GRU whose reset gate acts after the product: n = tanh(n + r * q). `before`, `after` (parts,
    n): the state.

    gates (parts, 3, n): the input's products n, r, z on entry, the values on return. recurrent
    (parts, 3, n): products r, z, q. bias (parts, 4, n) of n, r, z, q. q (parts, n) receives the
    last recurrent product with its bias.
    """
    for j in range(gates.shape[0]):
        for start in range(0, gates.shape[2], STRIP):
            s = slice(start, min(start + STRIP, gates.shape[2]))
            n, r, z = gates[j, 0, s], gates[j, 1, s], gates[j, 2, s]
            _logistic_of_sum(r, recurrent[j, 0, s], bias[j, 1, s])
            _logistic_of_sum(z, recurrent[j, 1, s], bias[j, 2, s])
            _sum(recurrent[j, 2, s], bias[j, 3, s], q[j, s])
            _candidate(n, bias[j, 0, s], r, q[j, s])
            _blend(n, z, before[j, s], after[j, s])


@compiled
def gru_after_step_back(
    gates: Array,
    q: Array,
    before: Array,
    d_state: Array,
    d: Array,
    d_recurrent: Array,
    d_bias: Array,
) -> None:
    """The reverse of `gru_after_step`.

    d_state (parts, n): gradient of the state after on entry; on return of the state before, but for
    what comes through the products. d (parts, 3, n) receives the gradients of the input's products,
    d_recurrent of the recurrent ones.
    """
    for j in range(gates.shape[0]):
        for start in range(0, gates.shape[2], STRIP):
            s = slice(start, min(start + STRIP, gates.shape[2]))
            n, r, z = gates[j, 0, s], gates[j, 1, s], gates[j, 2, s]
            dn, dr, dz, dq = d[j, 0, s], d[j, 1, s], d[j, 2, s], d_recurrent[j, 2, s]
            _d_candidate(n, z, d_state[j, s], dn)
            _d_logistic(r, q[j, s], dn, dr)
            _d_update(n, z, before[j, s], d_state[j, s], dz)
            _product(dn, r, dq)
            _copy(dr, d_recurrent[j, 0, s])
            _copy(dz, d_recurrent[j, 1, s])
            _scale(d_state[j, s], z)
            _add(d_bias[j, 0, s], dn)
            _add(d_bias[j, 1, s], dr)
            _add(d_bias[j, 2, s], dz)
            _add(d_bias[j, 3, s], dq)


@compiled
def gru_before_reset(
    gates: Array, recurrent: Array, bias: Array, before: Array, reset: Array
) -> None:
    """GRU whose reset gate acts before the product, first half: r and z, and `reset` (parts, n)
    receives r * state.

    gates (parts, 3, n) of n, r, z: the input's products; r and z are values on return. recurrent
    (parts, 2, n): r, z.
    """
    for j in range(gates.shape[0]):
        for start in range(0, gates.shape[2], STRIP):
            s = slice(start, min(start + STRIP, gates.shape[2]))
            _logistic_of_sum(gates[j, 1, s], recurrent[j, 0, s], bias[j, 1, s])
            _logistic_of_sum(gates[j, 2, s], recurrent[j, 1, s], bias[j, 2, s])
            _product(gates[j, 1, s], before[j, s], reset[j, s])


@compiled
def gru_before_step(
    gates: Array, recurrent: Array, bias: Array, before: Array, after: Array
) -> None:
    """Second half: n from product to value with recurrent (parts, n), and the state after."""
    for j in range(gates.shape[0]):
        for start in range(0, gates.shape[2], STRIP):
            s = slice(start, min(start + STRIP, gates.shape[2]))
            _tanh_of_sum(gates[j, 0, s], recurrent[j, s], bias[j, 0, s])
            _blend(gates[j, 0, s], gates[j, 2, s], before[j, s], after[j, s])


@compiled
def gru_before_step_back(
    gates: Array,
    before: Array,
    d_state: Array,
    d: Array,
    d_candidate: Array,
    d_recurrent: Array,
    d_bias: Array,
) -> None:
    """The reverse of `gru_before_step`: gradients of n (into d and d_candidate) and z (into d and
    d_recurrent).

    d_state as in `gru_after_step_back`; d (parts, 3, n), d_candidate (parts, n), d_recurrent
    (parts, 2, n).
    """
    for j in range(gates.shape[0]):
        for start in range(0, gates.shape[2], STRIP):
            s = slice(start, min(start + STRIP, gates.shape[2]))
            n, z = gates[j, 0, s], gates[j, 2, s]
            _d_candidate(n, z, d_state[j, s], d[j, 0, s])
            _copy(d[j, 0, s], d_candidate[j, s])
            _d_update(n, z, before[j, s], d_state[j, s], d[j, 2, s])
            _copy(d[j, 2, s], d_recurrent[j, 1, s])
            _scale(d_state[j, s], z)
            _add(d_bias[j, 0, s], d[j, 0, s])
            _add(d_bias[j, 2, s], d[j, 2, s])


@compiled
def gru_before_reset_back(
    gates: Array,
    before: Array,
    d_reset: Array,
    d_state: Array,
    d: Array,
    d_recurrent: Array,
    d_bias: Array,
) -> None:
    """The reverse of `gru_before_reset`: the gradient of r; what comes through `reset` is added to
    d_state.
    """
    for j in range(gates.shape[0]):
        for start in range(0, gates.shape[2], STRIP):
            s = slice(start, min(start + STRIP, gates.shape[2]))
            r = gates[j, 1, s]
            _d_logistic(r, before[j, s], d_reset[j, s], d[j, 1, s])
            _copy(d[j, 1, s], d_recurrent[j, 0, s])
            _add_product(d_state[j, s], d_reset[j, s], r)
            _add(d_bias[j, 1, s], d[j, 1, s])
