"""The C++ side of a simulation as a Python object: axi_shim.cpp through ctypes."""

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ernn.flow.beats import Beats

# Cycles per call: short enough that an interrupt is answered soon.
CHUNK = 200_000
# The columns of axi_shim.cpp, in its order; three per probe follow.
(
    OUT_DATA,
    OUT_TID,
    OUT_FIRST,
    OUT_LAST,
    OUT_CYCLE,
    IN_CYCLE,
    VIOLATION_CYCLE,
    VIOLATION_RULE,
    PROBES,
) = range(9)
RULES = ("tvalid fell before tready", "tdata, tid, tuser or tlast changed while tready was low")


class _Stall(ctypes.Structure):
    _fields_ = (
        ("pattern", ctypes.c_void_p),
        ("length", ctypes.c_uint64),
        ("probability", ctypes.c_uint64),
        ("seed", ctypes.c_uint64),
    )


class _Stimulus(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("tid", ctypes.c_void_p),
        ("first", ctypes.c_void_p),
        ("last", ctypes.c_void_p),
        ("beats", ctypes.c_uint64),
        ("beat_bytes", ctypes.c_uint64),
        ("stall_in", _Stall),
        ("stall_out", _Stall),
        ("recorded", ctypes.c_void_p),
        ("expected", ctypes.c_uint64),
    )


@dataclass(frozen=True, eq=False)
class Recording:
    """The columns of a session, copied; data columns keep the padding of Verilator's wide ports."""

    data: NDArray[np.uint8]
    tid: NDArray[np.uint32]
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]
    output_cycle: NDArray[np.uint64]
    input_cycle: NDArray[np.uint64]
    violations: list[tuple[int, str]]
    probes: list[tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint8]]]
    events: list[NDArray[np.uint64]]


def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    session, number, pointer = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p
    for name, result, arguments in (
        ("session_new", session, (ctypes.POINTER(_Stimulus), ctypes.c_char_p)),
        ("session_delete", None, (session,)),
        ("session_restart", None, (session,)),
        ("session_advance", number, (session, number, ctypes.c_int)),
        ("session_received", number, (session,)),
        ("column_bytes", number, (session, ctypes.c_int)),
        ("column_data", pointer, (session, ctypes.c_int)),
        ("probe_stride", ctypes.c_int, (session, ctypes.c_int)),
        ("output_stride", ctypes.c_int, (session,)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _pointer(array: NDArray[Any]) -> int:
    return array.ctypes.data


class Session:
    """One running simulation after reset; leaving its context frees it. Reads memory files now."""

    def __init__(
        self,
        path: Path,
        memories: str,
        beats: Beats,
        stalls: tuple[float | NDArray[np.uint8], float | NDArray[np.uint8]],
        seed: int,
        recorded: NDArray[np.uint8],
        expected: int,
    ) -> None:
        columns = [
            np.ascontiguousarray(c) for c in (beats.data, beats.tid, beats.first, beats.last)
        ]
        self._alive = (columns, stalls, recorded)  # the C++ side reads these arrays
        self._library = _load(path)
        self._probes = len(recorded)
        stimulus = _Stimulus(
            *(_pointer(column) for column in columns),
            *beats.data.shape,
            _native_stall(stalls[0], 2 * seed),
            _native_stall(stalls[1], 2 * seed + 1),
            _pointer(recorded),
            expected,
        )
        self._session = self._library.session_new(
            ctypes.byref(stimulus), f"+memories={memories}".encode()
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._library.session_delete(self._session)
        self._session = None

    def advance(self, cycles: int, *, past_end: bool = False) -> int:
        """At most `cycles` more, to the last expected beat or `past_end`; cycles since reset."""
        while True:
            step = min(cycles, CHUNK)
            before = self._library.session_advance(self._session, 0, past_end)
            done = self._library.session_advance(self._session, step, past_end)
            cycles -= step
            if done - before < step or not cycles:
                return done

    def restart(self) -> None:
        """Reset the design and forget what was recorded; beats begin again from the first."""
        self._library.session_restart(self._session)

    def recording(self, probes: int) -> Recording:
        """All that was recorded; the first `probes` of the names are probes, the others events."""
        cycles = self._column(VIOLATION_CYCLE, np.uint64)
        rules = self._column(VIOLATION_RULE, np.uint8)
        return Recording(
            data=self._rows(OUT_DATA, self._library.output_stride(self._session)),
            tid=self._column(OUT_TID, np.uint32),
            first=self._column(OUT_FIRST, np.bool_),
            last=self._column(OUT_LAST, np.bool_),
            output_cycle=self._column(OUT_CYCLE, np.uint64),
            input_cycle=self._column(IN_CYCLE, np.uint64),
            violations=[
                (int(cycle), RULES[rule]) for cycle, rule in zip(cycles, rules, strict=True)
            ],
            probes=[self._probe(index) for index in range(probes)],
            events=[
                self._column(PROBES + 3 * index, np.uint64) for index in range(probes, self._probes)
            ],
        )

    def _probe(
        self, index: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint8]]:
        column = PROBES + 3 * index
        data = self._rows(column + 2, self._library.probe_stride(self._session, index))
        return self._column(column, np.uint64), self._column(column + 1, np.uint64), data

    def _column(self, column: int, kind: Any) -> NDArray[Any]:
        size = self._library.column_bytes(self._session, column)
        if not size:
            return np.zeros(0, dtype=kind)
        return np.frombuffer(
            ctypes.string_at(self._library.column_data(self._session, column), size), dtype=kind
        )

    def _rows(self, column: int, stride: int) -> NDArray[np.uint8]:
        return self._column(column, np.uint8).reshape(-1, stride)


def _native_stall(stall: float | NDArray[np.uint8], seed: int) -> _Stall:
    if isinstance(stall, np.ndarray):
        return _Stall(_pointer(stall), len(stall), 0, seed)
    return _Stall(None, 0, round(stall * 2**32), seed)
