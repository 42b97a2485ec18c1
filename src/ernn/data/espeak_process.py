"""The process that synthesises: jobs as JSON on standard input, records on standard output.

    python -m ernn.data.espeak_process < jobs.json > records

espeak-ng's output depends on all that a process has synthesised before, so each job is done in a
forked child of this process, which itself never synthesises: a job's output is then the same in any
order. Breathy voices also draw from two random generators, espeak's (seeded by the clock) and the C
library's; each child seeds both. All this runs apart from the caller because forking a process with
threads (PyTorch's, say) is not safe.

A record is a line of JSON {"rate", "samples", "events": [[sample, phoneme], ...]} and then the
int16 samples, in the machine's byte order. A phoneme's name is espeak's own, with stress marks.
"""

import ctypes
import json
import os
import sys
from collections.abc import Callable
from typing import Any

_SYNCHRONOUS, _PHONEME_EVENTS, _NEVER_EXIT = 2, 0x0001, 0x8000
_UTF8, _END_PAUSE = 1, 0x1000
_RATE, _PITCH = 1, 3
_EVENT_END_OF_LIST, _EVENT_PHONEME = 0, 7


class _EventId(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))


def load() -> tuple[ctypes.CDLL, int]:
    """The library, initialised, and its sampling rate; SystemExit with one line if it fails."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = str(espeakng_loader.get_data_path()).encode()
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS | _NEVER_EXIT)
    if rate <= 0:
        raise SystemExit(f"espeak-ng did not start (code {rate})")
    return library, rate


def synthesise(library: ctypes.CDLL, job: dict[str, Any]) -> tuple[bytes, list[tuple[int, str]]]:
    """int16 samples and (sample, phoneme) events of a job: text, voice, words/minute, pitch."""
    sound, events = bytearray(), list[tuple[int, str]]()
    callback = _CALLBACK(_collector(sound, events))
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(job["voice"].encode()) != 0:
        raise SystemExit(f"espeak-ng has no voice {job['voice']!r}")
    library.espeak_SetParameter(_RATE, job["rate"], 0)
    library.espeak_SetParameter(_PITCH, job["pitch"], 0)
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))
    ctypes.CDLL(None).srand(ctypes.c_uint(1))
    text = job["text"].encode()
    size = ctypes.c_size_t(len(text) + 1)
    if library.espeak_Synth(text, size, 0, 1, 0, _UTF8 | _END_PAUSE, None, None) != 0:
        raise SystemExit(f"espeak-ng failed on {job['text']!r}")
    library.espeak_Synchronize()
    return bytes(sound), events


def _collector(sound: bytearray, events: list[tuple[int, str]]) -> Callable[..., int]:
    def collect(samples: int | None, count: int, found: Any) -> int:
        if samples and count > 0:
            sound.extend(ctypes.string_at(samples, 2 * count))
        at = 0
        while found[at].type != _EVENT_END_OF_LIST:
            if found[at].type == _EVENT_PHONEME:
                events.append((found[at].sample, found[at].id.string.decode("utf-8", "replace")))
            at += 1
        return 0

    return collect


def main() -> None:
    jobs = json.loads(sys.stdin.buffer.read())
    library, rate = load()
    for job in jobs:
        child = os.fork()
        if child == 0:
            _answer(library, rate, job)
        if os.waitpid(child, 0)[1] != 0:
            raise SystemExit(f"espeak-ng failed in voice {job['voice']!r} on {job['text']!r}")


def _answer(library: ctypes.CDLL, rate: int, job: dict[str, Any]) -> None:
    """Write the record and leave the child without running anything else of the parent's."""
    status = 1
    try:
        sound, events = synthesise(library, job)
        head = json.dumps({"rate": rate, "samples": len(sound) // 2, "events": events})
        sys.stdout.buffer.write(head.encode() + b"\n" + sound)
        sys.stdout.buffer.flush()
        status = 0
    except BaseException as error:
        print(error, file=sys.stderr, flush=True)
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
