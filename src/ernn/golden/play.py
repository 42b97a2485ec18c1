"""Plays a recorded program: whole vectors, in compiled integer loops, one frame of every stream after another."""

from collections.abc import Callable
from enum import IntEnum
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numba import njit

from ernn.golden.butterflies import Butterflies, transform_tile
from ernn.golden.lanes import (
    LANES,
    copy_row,
    pair_rows,
    round_narrow_row,
    round_row,
    sum_narrow_rows_0,
    sum_narrow_rows_1,
    sum_narrow_rows_2,
    sum_rows_0,
    sum_rows_1,
    sum_rows_2,
)
from ernn.golden.lookup import activate
from ernn.golden.packing import SPLIT
from ernn.golden.pairs import STREAMS, add_pairs

Array = np.ndarray


class Kind(IntEnum):
    """What a step does."""

    SUM = 0
    ACTIVATE = 1
    SPECTRUM = 2
    MULTIPLY = 3
    COPY = 4


_ANY = 1 << 62
_SUM, _ACTIVATE, _SPECTRUM, _MULTIPLY, _COPY = (int(kind) for kind in Kind)

_VECTORS = ("to", "x", "y", "a", "b", "c", "d")
"""Operands: a place in memory, and with `_step` the distance to the next stream's."""
_NUMBERS = (
    *("kind", "size", "length", "narrow", "low", "high", "up", "down"),
    *("x_up", "y_up", "ab_up", "cd_up", "ab_sign", "cd_sign", "products"),
    *("table", "input_low", "low_bits", "slope_shift"),
    *(
        "weights",
        "tiles",
        "tile_size",
        "chunks",
        "columns",
        "real_pairs",
        "complex_pairs",
        "gate_lanes",
        "gate_step",
        "gates",
    ),
    *("kept", "operands", "operands_end", "rows_narrow", "rows_low", "rows_high", "rows_up", "rows_down", "words"),
)
STEP = np.dtype([(name, np.int64) for name in (*_VECTORS, *[f"{v}_step" for v in _VECTORS], *_NUMBERS)], align=True)


class Machine(NamedTuple):
    """What steps need beside memory, and where they work.

    `operands`: of products, (place, distance to the next stream's, words); `tile`: a tile's slots; `sums`, `totals`: of
    a chunk and of all chunks; `data`: of products, in pairs.
    """

    forward: Butterflies
    inverse: Butterflies
    operands: Array
    weights: Array
    tables: Array
    tile: Array
    sums: Array
    totals: Array
    data: Array


@njit(boundscheck=False)
def _within(frames, low, high):
    lowest, highest = np.int64(0), np.int64(0)  # every format holds 0
    for t in range(frames.shape[0]):
        for stream in range(frames.shape[1]):
            for i in range(frames.shape[2]):
                lowest, highest = min(lowest, frames[t, stream, i]), max(highest, frames[t, stream, i])
    return low <= lowest and highest <= high


@njit(boundscheck=False)
def _lay_out(vector, memory, k):
    words = -(-len(vector) // k)
    for j in range(min(k, len(vector))):
        row, column = memory[j * words :], vector[j:]
        for word in range((len(vector) - j + k - 1) // k):
            row[word] = column[word * k]


@njit(boundscheck=False)
def _put_in_order(memory, vector, k):
    words = -(-len(vector) // k)
    for j in range(min(k, len(vector))):
        row, column = memory[j * words :], vector[j:]
        for word in range((len(vector) - j + k - 1) // k):
            column[word * k] = row[word]


@njit(boundscheck=False)
def _step(step, machine, first, streams, memory, k):
    if step.kind == _MULTIPLY:
        _multiply(step, machine, first, streams, memory, k)
        return
    for stream in range(first, first + streams):
        to, x = step.to + stream * step.to_step, step.x + stream * step.x_step
        if step.kind == _SUM:
            _sum(step, stream, memory)
        elif step.kind == _ACTIVATE:
            table, size = machine.tables[step.table], step.size
            numbers = (step.input_low, step.low_bits, step.slope_shift, step.low, step.high)
            activate(memory[to:], memory[x:], table, size, *numbers)
        elif step.kind == _SPECTRUM:
            _spectrum(step, memory, to, x, machine.forward, machine.tile, k)
        else:
            for row in range(0, step.size, LANES):
                copy_row(memory, to + row, memory, x + row)


@njit(boundscheck=False)
def _sum(step, stream, memory):
    """to = round(x + y +- a*b +- c*d), each shifted up to the same fraction bits; whole rows."""
    to, x, y = step.to + stream * step.to_step, step.x + stream * step.x_step, step.y + stream * step.y_step
    a, b = step.a + stream * step.a_step, step.b + stream * step.b_step
    c, d = step.c + stream * step.c_step, step.d + stream * step.d_step
    ups = (step.x_up, step.y_up, step.ab_up, step.ab_sign, step.cd_up, step.cd_sign)
    rounding = (step.up, (1 << step.down) >> 1, step.down, step.low, step.high)
    what, size = step.products + (3 if step.narrow else 0), step.size
    for row in range(0, size, LANES):
        at = (to + row, x + row, y + row, a + row, b + row, c + row, d + row)
        if what == 0:
            sum_rows_0(memory, at, ups, rounding)
        elif what == 1:
            sum_rows_1(memory, at, ups, rounding)
        elif what == 2:
            sum_rows_2(memory, at, ups, rounding)
        elif what == 3:
            sum_narrow_rows_0(memory, at, ups, rounding)
        elif what == 4:
            sum_narrow_rows_1(memory, at, ups, rounding)
        else:
            sum_narrow_rows_2(memory, at, ups, rounding)


@njit(boundscheck=False)
def _spectrum(step, memory, to, x, forward, tile, k):
    words, beyond, guard = step.words, step.length - (step.words - 1) * k, step.rows_up
    rounding = (step.up, (1 << step.down) >> 1, step.down, step.low, step.high)
    narrow, results = step.narrow, forward.results
    for first in range(0, words, STREAMS * LANES):
        count = min(STREAMS * LANES, words - first)
        width = -(-count // LANES) * LANES
        for j in range(k):
            for part in range(0, width, LANES):
                round_row(tile, j * width + part, memory, x + j * words + first + part, guard, 0, 0, -_ANY, _ANY)
            if first + count == words and j >= beyond:
                tile[j * width + count - 1] = 0
        transform_tile(tile, width // LANES, forward)
        for j in range(k):
            for part in range(0, width, LANES):
                place, row = to + j * words + first + part, results[j] * width + part
                _round_to(memory, place, tile, row, min(LANES, count - part), narrow, rounding)


@njit(boundscheck=False)
def _round_to(memory, to, tile, row, count, narrow, rounding):
    """`count` numbers of a row, rounded, to where they belong."""
    up, half, down, low, high = rounding
    if count < LANES:
        for i in range(count):
            value = ((np.int64(tile[row + i]) << up) + half) >> down
            memory[to + i] = min(max(value, low), high)
    elif narrow:
        round_narrow_row(memory, to, tile, row, up, half, down, low, high)
    else:
        round_row(memory, to, tile, row, up, half, down, low, high)


@njit(boundscheck=False)
def _multiply(step, machine, first, streams, memory, k):
    """A product. Rows of a tile are as wide as several streams, or of one stream, several tiles."""
    _gather(step, machine, first, streams, memory, k)
    tile, sums, totals = machine.tile, machine.sums, machine.totals
    for tiles in range(0, step.tiles, STREAMS if streams == 1 else 1):
        parts = streams if streams > 1 else min(STREAMS, step.tiles - tiles)
        for part in range(parts if streams == 1 else 1):
            at = step.weights + (tiles + part) * step.tile_size
            _tile(step, machine.weights, machine.data, sums, totals, tile, at, streams, part, parts, k)
        _to_rows(step, tile, totals, k * parts * LANES)
        transform_tile(tile, parts, machine.inverse)
        for part in range(parts):
            stream, lanes = (part, tiles * LANES) if streams > 1 else (0, (tiles + part) * LANES)
            to = step.to + (first + stream) * step.to_step
            _scatter(step, lanes, tile, part * LANES, parts * LANES, machine.inverse.results, memory, to)


@njit(boundscheck=False)
def _gather(step, machine, first, streams, memory, k):
    """Data in pairs, as `ernn.golden.packing` has it: (bins, chunks, results * streams, pairs, 2).

    Whole rows are written from the first place to the last: what one writes too much, the next one puts right.
    """
    at = 0
    for element in range(k):
        pairs, results = (step.real_pairs, 1) if element < 2 else (step.complex_pairs, 2)
        if element >= 2 and element % 2:
            continue  # the other half of a complex number
        for chunk in range(step.chunks):
            for result in range(results):
                for stream in range(first, first + streams):
                    what = element if element < 2 else 2 + result
                    _gather_columns(step, machine.operands, memory, stream, element, what, chunk, machine.data, at)
                    at += 2 * pairs


@njit(boundscheck=False)
def _gather_columns(step, operands, memory, stream, element, what, chunk, data, at):
    """One chunk's columns of one stream. `what`: 0, 1 a real bin's, 2 of a complex bin for re, 3 for im."""
    begin, column = chunk * step.columns, 0
    for operand in range(step.operands, step.operands_end):
        words, place = operands[operand, 2], operands[operand, 0] + stream * operands[operand, 1]
        x = place + element * words - column
        last = min(column + words, begin + step.columns)
        for i in range(max(column, begin), last, LANES):
            if what < 2:
                copy_row(data, at + i - begin, memory, x + i)
            elif what == 2:
                pair_rows(data, at + 2 * (i - begin), memory, x + i, memory, x + words + i, -1)
            else:
                pair_rows(data, at + 2 * (i - begin), memory, x + words + i, memory, x + i, 0)
        column += words
    if what >= 2:
        end = at + 2 * step.columns
        data[end], data[end + 1] = (SPLIT, 1) if what == 2 else (0, 0)


@njit(boundscheck=False)
def _tile(step, weights, data, sums, totals, tile, at, streams, part, parts, k):
    """The sums of a tile, its weights from `at`, for all bins: (element, part, lane) in `tile`, or in `totals`."""
    data_at, width = 0, parts * LANES
    apart = LANES if streams > 1 else width  # a complex bin's re and im are two elements
    for element in range(k):
        if element >= 2 and element % 2:
            continue  # the other half of a complex number
        pairs, operands = (step.real_pairs, streams) if element < 2 else (step.complex_pairs, 2 * streams)
        place = element * width + part * LANES
        for chunk in range(step.chunks):
            if step.chunks == 1:
                add_pairs(weights, at, data, data_at, tile, place, apart, pairs, operands)
            else:
                add_pairs(weights, at, data, data_at, sums, 0, LANES, pairs, operands)
                for operand in range(operands):
                    _accumulate(totals[place + operand * apart :], sums[operand * LANES :], chunk == 0)
            at += 2 * pairs * LANES
            data_at += 2 * pairs * operands


@njit(boundscheck=False)
def _accumulate(totals, sums, first):
    for lane in range(LANES):
        totals[lane] = np.int64(sums[lane]) + (0 if first else totals[lane])


@njit(boundscheck=False)
def _to_rows(step, tile, totals, count):
    up, down, low, high = step.rows_up, step.rows_down, step.rows_low, step.rows_high
    half = (1 << down) >> 1
    if step.chunks > 1:
        for at in range(0, count, LANES):
            round_row(tile, at, totals, at, up, half, down, low, high)
    elif step.rows_narrow:
        for at in range(0, count, LANES):
            round_narrow_row(tile, at, tile, at, up, half, down, low, high)
    else:
        for at in range(0, count, LANES):
            round_row(tile, at, tile, at, up, half, down, low, high)


@njit(boundscheck=False)
def _scatter(step, first, tile, at, width, results, memory, to):
    """A tile's results of one stream, rounded, gate by gate to where they belong."""
    rounding = (step.up, (1 << step.down) >> 1, step.down, step.low, step.high)
    narrow, kept, rows, gates, gate_step, lane = step.narrow, step.kept, step.gate_lanes, step.gates, step.gate_step, 0
    while lane < LANES and first + lane < gates * rows:
        gate, place = divmod(first + lane, rows)
        count = min(LANES - lane, rows - place)
        for j in range(kept):
            out = to + gate * gate_step + j * rows + place
            _round_to(memory, out, tile, at + results[j] * width + lane, count, narrow, rounding)
        lane += count


def _sources() -> str:
    """What the compiled code is made of: everything in this folder."""
    digest = sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _compiled(sources: str) -> Callable[..., bool]:
    """`play`.  Numba keeps compiled code, and looks for changes in this file only: `sources` makes it look in all."""

    @njit(cache=True, boundscheck=False, nogil=True)
    def play(
        program, to_runs, to_rows, to_results, from_runs, from_rows, from_results, operands, weights, tables, tile,
        sums, totals, data, memory, frames, outputs, ends,
    ):  # fmt: skip
        """Plays frames (time, streams, inputs) to outputs (time, streams, outputs).

        The arrays of a `Machine` follow the program one by one: so a call from Python takes two microseconds, not
        four.  Then memory, frames, outputs, and where input and output lie in memory with the input's range.  A few
        streams are played to the end before the next: what they keep should stay in the cache.  Nothing is played, and
        False returned, where a frame is out of range.
        """
        _ = sources
        forward = Butterflies(to_runs, to_rows, to_results)
        inverse = Butterflies(from_runs, from_rows, from_results)
        machine = Machine(forward, inverse, operands, weights, tables, tile, sums, totals, data)
        x, x_step, y, y_step, low, high = ends
        if not _within(frames, low, high):
            return False
        k, first = len(to_results), 0
        while first < frames.shape[1]:
            streams = STREAMS if frames.shape[1] - first >= STREAMS else 1
            for t in range(len(frames)):
                for stream in range(first, first + streams):
                    _lay_out(frames[t, stream], memory[x + stream * x_step :], k)
                for index in range(len(program)):
                    _step(program[index], machine, first, streams, memory, k)
                for stream in range(first, first + streams):
                    _put_in_order(memory[y + stream * y_step :], outputs[t, stream], k)
            first += streams
        return True

    return play


play = _compiled(_sources())
