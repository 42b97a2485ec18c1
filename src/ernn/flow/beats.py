"""Beats of an AXI4-Stream as arrays, and the packing of integers into their data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ernn.errors import UserError


def pack(values: ArrayLike, bits: int) -> NDArray[np.uint8]:
    """Integers [beats, lanes] of `bits` bits as data [beats, bytes], lane 0 in the lowest bits.

    The last byte is filled with zeros.  UserError where a value fits neither signed nor unsigned.
    """
    lanes = np.atleast_2d(np.asarray(values, dtype=np.int64))
    if not 1 <= bits <= 62:
        raise UserError(f"a lane has 1 to 62 bits, not {bits}")
    if lanes.size and (lanes.min() < -(1 << (bits - 1)) or lanes.max() >= 1 << bits):
        raise UserError(f"a lane of {bits} bits cannot hold {lanes.min()}..{lanes.max()}")
    ones = (lanes[:, :, None] >> np.arange(bits)) & 1
    return np.packbits(ones.reshape(len(lanes), -1).astype(np.uint8), axis=1, bitorder="little")


def unpack(
    data: NDArray[np.uint8], bits: int, lanes: int, *, signed: bool = True
) -> NDArray[np.int64]:
    """Data [beats, bytes] as integers [beats, lanes] of `bits` bits each: the inverse of `pack`."""
    if lanes * bits > 8 * data.shape[1]:
        raise UserError(f"{lanes} lanes of {bits} bits do not fit a beat of {data.shape[1]} bytes")
    ones = np.unpackbits(data, axis=1, bitorder="little")[:, : lanes * bits].reshape(
        -1, lanes, bits
    )
    weights = np.int64(1) << np.arange(bits, dtype=np.int64)
    if signed:
        weights[-1] = -weights[-1]
    return ones @ weights


@dataclass(frozen=True, eq=False)
class Beats:
    """A series of beats on one AXI4-Stream.

    `data` [beats, bytes] uint8, lowest byte first; `tid` [beats]: the stream's
    index; `first` [beats], tuser: the beat is of a sequence's first frame; `last`
    [beats], tlast: a frame's last beat.
    """

    data: NDArray[np.uint8]
    tid: NDArray[np.uint32]
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]

    def __post_init__(self) -> None:
        for name, kind, axes in (
            ("data", np.uint8, 2),
            ("tid", np.uint32, 1),
            ("first", bool, 1),
            ("last", bool, 1),
        ):
            column = getattr(self, name)
            if column.dtype != kind or column.ndim != axes:
                raise UserError(
                    f"beats need `{name}` of {axes} axes and type {np.dtype(kind)}, not "
                    f"{column.shape} {column.dtype}"
                )
            if len(column) != len(self.data):
                raise UserError(
                    f"beats need columns of equal length: {name} has {len(column)}, data "
                    f"{len(self.data)}"
                )

    def __len__(self) -> int:
        return len(self.data)

    @classmethod
    def of(
        cls,
        data: NDArray[np.uint8],
        *,
        tid: ArrayLike = 0,
        first: ArrayLike = False,
        last: ArrayLike = False,
    ) -> "Beats":
        """Beats from data [beats, bytes]; a single value stands for every beat."""
        count = len(data)
        return cls(
            np.ascontiguousarray(data, dtype=np.uint8),
            np.array(np.broadcast_to(tid, count), dtype=np.uint32),
            np.array(np.broadcast_to(first, count), dtype=bool),
            np.array(np.broadcast_to(last, count), dtype=bool),
        )
