"""Golden's interpreter, compiled from c/."""

import numpy as np

Buffer = np.ndarray

LANES: int
ROWS: int
WIDTH: int
SIDE: int
ENTRIES: int

def variants() -> list[str]:
    """Names of the variants that this processor runs, the slowest first: "narrow ..." for numbers
    of 32 bits and weights of 16, "wide" for 64 bits.
    """

def play(
    variant: str,
    buffers: tuple[Buffer, ...],
    frames: Buffer | None,
    outputs: Buffer | None,
    streams: int,
) -> bool:
    """Plays frames (time, streams, inputs) to outputs (time, streams, outputs), int64.

    `buffers`: the arrays of `struct machine`, in order. False, and nothing done, where an input is
    out of range; `frames` None: back to before the first frame.
    """

def multiply(
    variant: str,
    weights: Buffer,
    data: Buffer,
    sums: Buffer,
    pairs: int,
    results: int,
    side: int,
    times: int,
) -> None:
    """The inner loop of products alone: every tile of weights (tiles, pairs, ROWS, 2) times data
    (results, pairs, side, 2), so many times, to sums (results, ROWS, side).
    """
