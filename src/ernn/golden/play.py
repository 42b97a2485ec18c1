"""Plays a recorded program: whole vectors, in compiled integer loops, one frame of every stream
after another.

Streams have memories of their own, or lie `SIDE` by side in one: then every vector has as many
numbers in each place, and all but products, input and output is the same work on longer vectors.
"""

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
    SIDE,
    copy_row,
    pair_rows,
    round_narrow_row,
    round_row,
    shift_row,
    sum_narrow_rows_0,
    sum_narrow_rows_1,
    sum_narrow_rows_2,
    sum_rows_0,
    sum_rows_1,
    sum_rows_2,
    transpose,
)
from ernn.golden.lookup import activate
from ernn.golden.packing import SPLIT
from ernn.golden.pairs import ROWS, STREAMS, add_pairs, add_pairs_side_by_side
from ernn.golden.straight import WORDS, from_spectra, to_spectra

Array = np.ndarray


_ALL = (-(1 << 31), (1 << 31) - 1)  # no limits for numbers of 32 bits


class Kind(IntEnum):
    """What a step does."""

    SUM = 0
    ACTIVATE = 1
    SPECTRUM = 2
    MULTIPLY = 3
    COPY = 4


_SUM, _ACTIVATE, _SPECTRUM, _MULTIPLY, _COPY = (int(kind) for kind in Kind)
NUMBER_BY_NUMBER = Kind.SUM, Kind.ACTIVATE, Kind.COPY
PART = 512
"""Numbers of a vector that go through steps number by number before the next ones."""

_VECTORS = ("to", "x", "y", "a", "b", "c", "d")
"""Operands: a place in memory, and with `_step` the distance to the next stream's."""
_NUMBERS = (
    *("kind", "chain", "size", "length", "narrow", "low", "high", "up", "down"),
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
    *(
        "kept",
        "operands",
        "operands_end",
        "rows_narrow",
        "rows_low",
        "rows_high",
        "rows_up",
        "rows_down",
        "words",
    ),
)
STEP = np.dtype(
    [(name, np.int64) for name in (*_VECTORS, *[f"{v}_step" for v in _VECTORS], *_NUMBERS)],
    align=True,
)


class Machine(NamedTuple):
    """What steps need beside memory, and where they work.

    `operands`: of products, (place, distance to the next stream's, words); `tile`: a tile's slots;
    `sums`, `totals`: of a chunk and of all chunks; `data`: of products, in pairs; `side`: streams
    side by side, 1 or `SIDE`; `straight`: both transforms are there as `ernn.golden.straight`.
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
    side: int
    straight: bool


@njit(boundscheck=False)
def _within(frames, low, high):
    lowest, highest = np.int64(0), np.int64(0)  # every format holds 0
    for t in range(frames.shape[0]):
        for stream in range(frames.shape[1]):
            for i in range(frames.shape[2]):
                lowest, highest = (
                    min(lowest, frames[t, stream, i]),
                    max(highest, frames[t, stream, i]),
                )
    return low <= lowest and highest <= high


@njit(boundscheck=False)
def _lay_out(vectors, memory, k, side):
    """Of streams side by side, or of one."""
    count, length = vectors.shape
    words = -(-length // k)
    for j in range(min(k, length)):
        row, column = memory[j * words * side :], vectors[:, j:]
        for word in range((length - j + k - 1) // k):
            if side == 1:
                row[word] = column[0, word * k]
            else:
                for stream in range(count):
                    row[word * side + stream] = column[stream, word * k]


@njit(boundscheck=False)
def _put_in_order(memory, vectors, k, side, rows):
    """As `_lay_out`, the other way round; `rows`: room for `SIDE` numbers of as many streams and a
    row more.
    """
    count, length = vectors.shape
    words, done = -(-length // k), 0
    if side == 1:
        for j in range(min(k, length)):
            row, column = memory[j * words :], vectors[0, j:]
            for word in range((length - j + k - 1) // k):
                column[word * k] = row[word]
    elif count == SIDE:
        done, flat = length // SIDE * SIDE, vectors.reshape(-1)
        for first in range(0, done, SIDE):
            for i in range(SIDE):
                word, j = divmod(first + i, k)
                copy_row(rows, i * SIDE, memory, (j * words + word) * SIDE)
            transpose(flat, first, length, rows, 0)
    for i in range(done, length if side > 1 else 0):
        word, j = divmod(i, k)
        for stream in range(count):
            vectors[stream, i] = memory[(j * words + word) * SIDE + stream]


@njit(boundscheck=False)
def _step(step, machine, first, streams, memory, k):
    """A product, or spectra."""
    if step.kind == _SPECTRUM:
        for stream in range(first, first + streams):
            _spectrum(
                step,
                memory,
                step.to + stream * step.to_step,
                step.x + stream * step.x_step,
                machine,
                k,
            )
    elif machine.side == 1:
        _multiply(step, machine, first, streams, memory, k)
    else:
        _multiply_side_by_side(step, machine, first, memory, k)


@njit(boundscheck=False)
def _steps_number_by_number(steps, machine, stream, memory):
    """Steps in which a number depends on those at its own place: part by part, which so stays in
    the nearest cache.
    """
    size = steps[0].size
    for begin in range(0, size, PART):
        count = min(PART, size - begin)
        for index in range(len(steps)):
            step = steps[index]
            to, x = begin + step.to + stream * step.to_step, begin + step.x + stream * step.x_step
            if step.kind == _SUM:
                _sum(step, stream, memory, begin, count)
            elif step.kind == _ACTIVATE:
                numbers = (step.input_low, step.low_bits, step.slope_shift, step.low, step.high)
                activate(memory[to:], memory[x:], machine.tables[step.table], count, *numbers)
            else:
                for row in range(0, count, LANES):
                    copy_row(memory, to + row, memory, x + row)


@njit(boundscheck=False)
def _sum(step, stream, memory, begin, count):
    """to = round(x + y +- a*b +- c*d), each shifted up to the same fraction bits; whole rows."""
    to, x, y = (
        step.to + stream * step.to_step,
        step.x + stream * step.x_step,
        step.y + stream * step.y_step,
    )
    a, b = step.a + stream * step.a_step, step.b + stream * step.b_step
    c, d = step.c + stream * step.c_step, step.d + stream * step.d_step
    ups = (step.x_up, step.y_up, step.ab_up, step.ab_sign, step.cd_up, step.cd_sign)
    rounding = (step.up, (1 << step.down) >> 1, step.down, step.low, step.high)
    what = step.products + (3 if step.narrow else 0)
    for row in range(begin, begin + count, LANES):
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
def _spectrum(step, memory, to, x, machine, k):
    forward, tile, side = machine.forward, machine.tile, machine.side
    words, beyond, guard = step.words, step.length - (step.words // side - 1) * k, step.rows_up
    rounding = (step.up, (1 << step.down) >> 1, step.down, step.low, step.high)
    narrow, results, done = step.narrow, forward.results, 0
    if machine.straight and narrow:
        done = (words - side if beyond < k else words) // WORDS * WORDS
        to_spectra(
            k,
            memory,
            to,
            words,
            memory,
            x,
            words,
            done,
            forward.rows,
            (guard, 0, 0, *_ALL),
            rounding,
        )
    for first in range(done, words, STREAMS * LANES):
        count = min(STREAMS * LANES, words - first)
        width = -(-count // LANES) * LANES
        for j in range(k):
            for part in range(0, width, LANES):
                shift_row(tile, j * width + part, memory, x + j * words + first + part, guard)
            if first + count == words and j >= beyond:
                tile[j * width + count - side : j * width + count] = 0
        transform_tile(tile, width // LANES, forward)
        for j in range(k):
            _round_to(
                memory, to + j * words + first, tile, results[j] * width, count, narrow, rounding
            )


@njit(boundscheck=False)
def _round_to(memory, to, tile, row, count, narrow, rounding):
    """`count` numbers of a tile, rounded, to where they belong."""
    up, half, down, low, high = rounding
    whole = count - count % LANES
    if narrow:
        for part in range(0, whole, LANES):
            round_narrow_row(memory, to + part, tile, row + part, up, half, down, low, high)
    else:
        for part in range(0, whole, LANES):
            round_row(memory, to + part, tile, row + part, up, half, down, low, high)
    for i in range(whole, count):
        value = ((np.int64(tile[row + i]) << up) + half) >> down
        memory[to + i] = min(max(value, low), high)


@njit(boundscheck=False)
def _multiply(step, machine, first, streams, memory, k):
    """A product. Rows of a tile are as wide as several streams, or of one stream, several tiles."""
    _gather(step, machine, first, streams, memory, k)
    tile, sums, totals, straight = (
        machine.tile,
        machine.sums,
        machine.totals,
        _is_straight(step, machine, k),
    )
    for tiles in range(0, step.tiles, STREAMS if streams == 1 else 1):
        parts = streams if streams > 1 else min(STREAMS, step.tiles - tiles)
        for part in range(parts if streams == 1 else 1):
            at = step.weights + (tiles + part) * step.tile_size
            _tile(
                step, machine.weights, machine.data, sums, totals, tile, at, streams, part, parts, k
            )
        before = _before(step, tile, totals, k * parts * LANES, straight)
        if not straight:
            transform_tile(tile, parts, machine.inverse)
        for part in range(parts):
            stream, lanes = (part, tiles * LANES) if streams > 1 else (0, (tiles + part) * LANES)
            to = step.to + (first + stream) * step.to_step
            _to_gates(
                step,
                machine,
                lanes,
                LANES,
                part * LANES,
                parts * LANES,
                memory,
                to,
                before,
                straight,
                k,
            )


@njit(boundscheck=False)
def _gather(step, machine, first, streams, memory, k):
    """Data in pairs, as `ernn.golden.packing` has it: (bins, chunks, results * streams, pairs, 2).

    Whole rows are written from the first place to the last: what one writes too much, the next one
    puts right.
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
                    _gather_columns(
                        step,
                        machine.operands,
                        memory,
                        stream,
                        element,
                        what,
                        chunk,
                        machine.data,
                        at,
                    )
                    at += 2 * pairs


@njit(boundscheck=False)
def _gather_columns(step, operands, memory, stream, element, what, chunk, data, at):
    """One chunk's columns of one stream. `what`: 0, 1 a real bin's, 2 of a complex bin for re, 3
    for im.
    """
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
    """The sums of a tile, its weights from `at`, for all bins: (element, part, lane) in `tile`, or
    in `totals`.
    """
    data_at, width = 0, parts * LANES
    apart = LANES if streams > 1 else width  # a complex bin's re and im are two elements
    for element in range(k):
        if element >= 2 and element % 2:
            continue  # the other half of a complex number
        pairs, operands = (
            (step.real_pairs, streams) if element < 2 else (step.complex_pairs, 2 * streams)
        )
        place = element * width + part * LANES
        for chunk in range(step.chunks):
            if step.chunks == 1:
                add_pairs(weights, at, data, data_at, tile, place, apart, pairs, operands)
            else:
                add_pairs(weights, at, data, data_at, sums, 0, LANES, pairs, operands)
                for operand in range(operands):
                    _accumulate(
                        totals[place + operand * apart :], sums[operand * LANES :], chunk == 0
                    )
            at += 2 * pairs * LANES
            data_at += 2 * pairs * operands


@njit(boundscheck=False)
def _multiply_side_by_side(step, machine, group, memory, k):
    """A product of `SIDE` streams, tile by tile."""
    _gather_side_by_side(step, machine, group, memory, k)
    tile, totals, to = machine.tile, machine.totals, step.to + group * step.to_step
    straight, width = _is_straight(step, machine, k), LANES * SIDE
    for number in range(step.tiles):
        at = step.weights + number * step.tile_size
        _tile_side_by_side(step, machine.weights, machine.data, machine.sums, totals, tile, at, k)
        before = _before(step, tile, totals, k * width, straight)
        if not straight:
            transform_tile(tile, width // LANES, machine.inverse)
        _to_gates(step, machine, number * LANES, LANES, 0, width, memory, to, before, straight, k)


@njit(boundscheck=False)
def _gather_side_by_side(step, machine, group, memory, k):
    """Data in pairs: (bins, chunks, results, pairs, SIDE, 2)."""
    at, data = 0, machine.data
    for element in range(k):
        pairs, results = (step.real_pairs, 1) if element < 2 else (step.complex_pairs, 2)
        if element >= 2 and element % 2:
            continue  # the other half of a complex number
        for chunk in range(step.chunks):
            for result in range(results):
                begin, column = chunk * step.columns, 0
                for operand in range(step.operands, step.operands_end):
                    words = machine.operands[operand, 2]
                    x = (
                        machine.operands[operand, 0]
                        + group * machine.operands[operand, 1]
                        + element * words * SIDE
                    )
                    first, last = max(column, begin), min(column + words, begin + step.columns)
                    place = x + (first - column) * SIDE
                    if element < 2:
                        _real_columns(data, at, first - begin, last - first, memory, place)
                    else:
                        _complex_columns(
                            data,
                            at,
                            first - begin,
                            last - first,
                            memory,
                            place,
                            words * SIDE,
                            result,
                        )
                    column += words
                if element >= 2:
                    end = at + 2 * SIDE * step.columns
                    for stream in range(SIDE):
                        data[end + 2 * stream], data[end + 2 * stream + 1] = (
                            (SPLIT, 1) if result == 0 else (0, 0)
                        )
                at += 2 * SIDE * pairs


@njit(boundscheck=False)
def _real_columns(data, at, first, count, memory, x):
    for i in range(count):
        column = first + i
        to = data[at + 2 * SIDE * (column // 2) + column % 2 :]
        for stream in range(SIDE):
            to[2 * stream] = memory[x + i * SIDE + stream]


@njit(boundscheck=False)
def _complex_columns(data, at, first, count, memory, x, apart, result):
    """Two columns at a time: of an odd number of them, what is written too much the next puts
    right.
    """
    for i in range(0, count, LANES // SIDE):
        to, re = at + 2 * SIDE * (first + i), x + i * SIDE
        if result == 0:
            pair_rows(data, to, memory, re, memory, re + apart, -1)
        else:
            pair_rows(data, to, memory, re + apart, memory, re, 0)


@njit(boundscheck=False)
def _tile_side_by_side(step, weights, data, sums, totals, tile, at, k):
    """As `_tile`, (element, lane, stream); bin by bin, whose data and weights stay in the nearest
    cache.
    """
    data_at, width = 0, LANES * SIDE
    for element in range(k):
        if element >= 2 and element % 2:
            continue  # the other half of a complex number
        pairs, results = (step.real_pairs, 1) if element < 2 else (step.complex_pairs, 2)
        place = element * width
        for chunk in range(step.chunks):
            to, to_at = (tile, place) if step.chunks == 1 else (sums, 0)
            for row in range(0, LANES, ROWS):
                rows_at = at + 2 * row
                add_pairs_side_by_side(
                    weights, rows_at, data, data_at, to, to_at + row * SIDE, width, pairs, results
                )
            if step.chunks > 1:
                for lane in range(0, results * width, LANES):
                    _accumulate(totals[place + lane :], sums[lane:], chunk == 0)
            at += 2 * pairs * LANES
            data_at += 2 * pairs * results * SIDE


@njit(boundscheck=False)
def _accumulate(totals, sums, first):
    for lane in range(LANES):
        totals[lane] = np.int64(sums[lane]) + (0 if first else totals[lane])


@njit(boundscheck=False)
def _is_straight(step, machine, k):
    """Whether a product's whole words go through `from_spectra`."""
    return (
        machine.straight
        and step.narrow
        and step.kept == k
        and step.gate_lanes * machine.side % WORDS == 0
    )


@njit(boundscheck=False)
def _before(step, tile, totals, count, straight):
    """Makes rows of a tile's sums, or leaves that to `from_spectra`: what that is to round by."""
    if straight and step.chunks == 1 and step.rows_narrow:
        return (
            step.rows_up,
            (1 << step.rows_down) >> 1,
            step.rows_down,
            step.rows_low,
            step.rows_high,
        )
    _to_rows(step, tile, totals, count)
    return 0, 0, 0, _ALL[0], _ALL[1]


@njit(boundscheck=False)
def _to_gates(step, machine, first, count, at, width, memory, to, before, straight, k):
    """`count` rows of a product from `first` on, from lane `at` of a tile, rounded, gate by gate to
    where they belong; `straight`: they are transformed on the way."""
    after = (step.up, (1 << step.down) >> 1, step.down, step.low, step.high)
    rows, side, row, inverse = step.gate_lanes, machine.side, 0, machine.inverse
    while row < count and first + row < step.gates * rows:
        gate, place = divmod(first + row, rows)
        some = min(count - row, rows - place)
        out, source = to + gate * step.gate_step + place * side, at + row * side
        if straight:
            numbers = some * side
            from_spectra(
                k,
                memory,
                out,
                rows * side,
                machine.tile,
                source,
                width,
                numbers,
                inverse.rows,
                before,
                after,
            )
        else:
            for j in range(step.kept):
                result = inverse.results[j] * width + source
                _round_to(
                    memory,
                    out + j * rows * side,
                    machine.tile,
                    result,
                    some * side,
                    step.narrow,
                    after,
                )
        row += some


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


def _sources() -> str:
    """What the compiled code is made of: everything in this folder."""
    digest = sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _compiled(sources: str) -> Callable[..., bool]:
    """`play`.  Numba keeps compiled code, and looks for changes in this file only: `sources` makes
    it look in all.
    """

    @njit(cache=True, boundscheck=False, nogil=True)
    def play(
        program, to_runs, to_rows, to_results, from_runs, from_rows, from_results, operands, weights, tables, tile,
        sums, totals, data, side, straight, memory, frames, outputs, ends,
    ):  # fmt: skip
        """Plays frames (time, streams, inputs) to outputs (time, streams, outputs).

        The arrays of a `Machine` follow the program one by one: so a call from Python takes two
        microseconds, not four.  Then memory, frames, outputs, and where input and output lie in
        memory with the input's range.  A few streams are played to the end before the next: what
        they keep should stay in the cache.  Of streams side by side the last may be fewer.  Nothing
        is played, and False returned, where a frame is out of range.
        """
        _ = sources
        forward = Butterflies(to_runs, to_rows, to_results)
        inverse = Butterflies(from_runs, from_rows, from_results)
        machine = Machine(
            forward, inverse, operands, weights, tables, tile, sums, totals, data, side, straight
        )
        x, x_step, y, y_step, low, high = ends
        if not _within(frames, low, high):
            return False
        k, first, memories = len(to_results), 0, -(-frames.shape[1] // side)
        while first < memories:
            together = STREAMS if side == 1 and memories - first >= STREAMS else 1
            for t in range(len(frames)):
                for number in range(first, first + together):
                    _lay_out(
                        frames[t, number * side : (number + 1) * side],
                        memory[x + number * x_step :],
                        k,
                        side,
                    )
                index = 0
                while index < len(program):
                    chain = program[index].chain
                    if chain:
                        for number in range(first, first + together):
                            _steps_number_by_number(
                                program[index : index + chain], machine, number, memory
                            )
                    else:
                        _step(program[index], machine, first, together, memory, k)
                    index += max(chain, 1)
                for number in range(first, first + together):
                    streams = outputs[t, number * side : (number + 1) * side]
                    _put_in_order(memory[y + number * y_step :], streams, k, side, tile)
            first += together
        return True

    return play


play = _compiled(_sources())
