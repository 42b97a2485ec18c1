"""Features: log-mel, MFCC, or the corpus's own, with deltas and stacking; batch and streaming.

The filterbank and MFCC are Kaldi's, by kaldi-native-fbank: 25 ms Povey windows every 10 ms, no
dither, only whole windows (snip_edges), samples on the 16-bit scale, power spectrum, 20 Hz to
half the rate, natural logarithm.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ernn.data.corpus import FloatArray, Utterance
from ernn.data.deltas import DeltaStream, append_deltas
from ernn.data.normalizer import Normalizer
from ernn.errors import UserError

__all__ = ["FeatureSpec", "FeatureStream", "Normalizer", "compute", "extract"]

RATES = (8000, 16000)
FULL_SCALE = np.float32(32768.0)


@dataclass(frozen=True)
class FeatureSpec:
    """Which features. `stored`: the corpus's own, to which deltas and stacking are added.

    rate: Hz that the samples must have (8000 or 16000). bins: mel filters. coefficients: of the
    MFCC, with C0. deltas: orders added (0, 1, 2), each over `delta_window` frames to either side.
    stack, subsample: every `subsample` frames, `stack` frames side by side; a rest is dropped.
    """

    kind: Literal["stored", "logmel", "mfcc"] = "logmel"
    rate: int = 16000
    bins: int = 40
    coefficients: int = 13
    deltas: int = 0
    delta_window: int = 2
    stack: int = 1
    subsample: int = 1
    window_ms: float = 25.0
    shift_ms: float = 10.0

    def __post_init__(self) -> None:
        if self.kind not in ("stored", "logmel", "mfcc"):
            raise UserError(f"feature kind is stored, logmel or mfcc, got {self.kind!r}")
        if self.rate not in RATES:
            raise UserError(
                f"features are defined at {RATES} Hz, got {self.rate}; convert the recordings first"
            )
        if not 3 <= self.bins <= 128:
            raise UserError(f"3 <= bins <= 128, got {self.bins}")
        if self.kind == "mfcc" and not 1 <= self.coefficients <= self.bins:
            raise UserError(f"1 <= coefficients <= bins, got {self.coefficients} of {self.bins}")
        if self.deltas not in (0, 1, 2) or not 1 <= self.delta_window <= 5:
            raise UserError(
                f"deltas is 0, 1 or 2 and delta_window 1..5, got {self.deltas}, {self.delta_window}"
            )
        if not (1 <= self.subsample <= self.stack <= 16):
            raise UserError(
                f"1 <= subsample <= stack <= 16 (no frame lost), got {self.subsample}, {self.stack}"
            )
        if not 1 <= self.shift_ms <= self.window_ms <= 100:
            raise UserError(
                f"1 <= shift_ms <= window_ms <= 100, got {self.shift_ms}, {self.window_ms}"
            )
        if self.kind != "stored" and (empty := empty_filters(self.rate, self.window, self.bins)):
            raise UserError(
                f"{empty} of {self.bins} mel filters are narrower than a frequency bin; use fewer "
                "bins"
            )

    @property
    def window(self) -> int:
        """Samples per window."""
        return int(self.rate * 0.001 * self.window_ms)

    @property
    def shift(self) -> int:
        """Samples from one window to the next."""
        return int(self.rate * 0.001 * self.shift_ms)

    @property
    def ends(self) -> slice:
        """The last frame, before stacking, of every frame given out."""
        return slice(self.stack - 1, None, self.subsample)

    @property
    def latency_frames(self) -> int:
        """Frames to wait for before a frame is given out: those its deltas and its stack need."""
        return self.deltas * self.delta_window + self.stack - 1

    @property
    def latency_samples(self) -> int:
        """From the first sample of a frame's window to the sample that releases it."""
        return self.window + self.latency_frames * self.shift

    def dim(self, stored: int = 0) -> int:
        """Values per frame given out; `stored`: the corpus's own width, for that kind."""
        base = {"stored": stored, "logmel": self.bins, "mfcc": self.coefficients}[self.kind]
        return base * (self.deltas + 1) * self.stack


def empty_filters(rate: int, window: int, bins: int) -> int:
    """Mel filters that hold no bin of the transform (window, rounded up to 2^n): always silent."""
    size = 1 << (window - 1).bit_length()
    mel = 1127.0 * np.log1p(np.array([20.0, rate / 2]) / 700.0)
    edges = 700.0 * np.expm1(np.linspace(mel[0], mel[1], bins + 2) / 1127.0)
    below = np.searchsorted(np.arange(size // 2) * rate / size, edges, side="left")
    return int(np.sum(below[2:] == below[:-2]))


def extract(spec: FeatureSpec, utterance: Utterance) -> FloatArray:
    """float32 [frames, dim] of an utterance; UserError where `spec` does not fit the corpus."""
    if spec.kind == "stored":
        return _after(spec, utterance.features())
    samples, rate = utterance.samples()
    if rate != spec.rate:
        raise UserError(
            f"utterance {utterance.id} has {rate} Hz, the features are for {spec.rate}; set "
            f"rate={rate} or convert"
        )
    return compute(spec, samples)


def compute(spec: FeatureSpec, samples: FloatArray) -> FloatArray:
    """float32 [frames, dim] of samples [n] in [-1, 1) at spec.rate Hz; UserError if too short."""
    if len(samples) < spec.window:
        raise UserError(f"{len(samples)} samples are fewer than one window of {spec.window}")
    source = _BaseStream(spec)
    return _after(spec, source.push(samples))


def _after(spec: FeatureSpec, base: FloatArray) -> FloatArray:
    return _stack(append_deltas(base, spec.deltas, spec.delta_window), spec.stack, spec.subsample)


def _stack(frames: FloatArray, stack: int, hop: int) -> FloatArray:
    """[frames, dim] -> [(frames - stack) // hop + 1, stack * dim]."""
    if stack == 1:
        return frames
    starts = np.arange(0, len(frames) - stack + 1, hop)
    return frames[starts[:, None] + np.arange(stack)].reshape(len(starts), stack * frames.shape[1])


class FeatureStream:
    """The same features from samples as they arrive: all frames of `push` and
    `finish` equal `compute`, bit for bit.

    A frame comes `spec.latency_samples` after its window's first sample. `finish` resets.
    """

    def __init__(self, spec: FeatureSpec) -> None:
        if spec.kind == "stored":
            raise UserError("stored features have no streaming form; use kind='logmel' or 'mfcc'")
        self.spec = spec
        self._reset()

    def push(self, samples: FloatArray) -> FloatArray:
        """float samples [n] in [-1, 1) at spec.rate Hz, any n -> float32 [ready, dim]."""
        return self._stacked(self._deltas.push(self._base.push(samples)))

    def finish(self) -> FloatArray:
        """The frames that waited for others to follow."""
        rest = self._deltas.finish()
        out = self._stacked(rest) if rest.size else np.zeros((0, self.spec.dim()), np.float32)
        self._reset()
        return out

    def _reset(self) -> None:
        self._base = _BaseStream(self.spec)
        self._deltas = DeltaStream(self.spec.deltas, self.spec.delta_window)
        self._waiting = np.zeros((0, self.spec.dim() // self.spec.stack), np.float32)

    def _stacked(self, frames: FloatArray) -> FloatArray:
        stack, hop = self.spec.stack, self.spec.subsample
        self._waiting = np.concatenate([self._waiting, frames])
        ready = max(0, (len(self._waiting) - stack) // hop + 1)
        out = _stack(self._waiting, stack, hop)[:ready]
        self._waiting = self._waiting[ready * hop :]
        return out


class _BaseStream:
    """kaldi-native-fbank's online computer: samples in, whole frames out."""

    def __init__(self, spec: FeatureSpec) -> None:
        self._spec, self._computer, self._given = spec, _computer(spec), 0

    def push(self, samples: FloatArray) -> FloatArray:
        if samples.ndim != 1 or not np.isfinite(samples).all():
            raise UserError(
                f"samples must be a finite array of one axis (mono), got shape {samples.shape}"
            )
        if len(samples):
            self._computer.accept_waveform(self._spec.rate, samples.astype(np.float32) * FULL_SCALE)
        ready = self._computer.num_frames_ready
        # get_frame lends the computer's own memory, which pop frees: copy first.
        frames = [np.array(self._computer.get_frame(t)) for t in range(self._given, ready)]
        self._computer.pop(ready - self._given)
        self._given = ready
        width = self._spec.bins if self._spec.kind == "logmel" else self._spec.coefficients
        return np.array(frames, np.float32).reshape(-1, width)


def _computer(spec: FeatureSpec) -> Any:
    import kaldi_native_fbank as knf

    if spec.kind == "logmel":
        return knf.OnlineFbank(_set(knf.FbankOptions(), spec))
    options = _set(knf.MfccOptions(), spec)
    options.num_ceps = spec.coefficients
    return knf.OnlineMfcc(options)


def _set(options: Any, spec: FeatureSpec) -> Any:
    frame = options.frame_opts
    frame.samp_freq, frame.dither, frame.snip_edges = spec.rate, 0.0, True
    frame.frame_length_ms, frame.frame_shift_ms = spec.window_ms, spec.shift_ms
    options.mel_opts.num_bins, options.use_energy = spec.bins, False
    return options
