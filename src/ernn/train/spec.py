"""How a network is trained, as frozen values: validated, equal by content, JSON in and out."""

from dataclasses import asdict, dataclass, fields, replace
from math import isfinite
from pathlib import Path
from typing import Any, Self

from ernn.errors import UserError
from ernn.files import write_json
from ernn.ground.reading import read_json
from ernn.ir.edges import DataBits
from ernn.quantization.drafts import QuantizeSpec


def _require(ok: bool, message: str) -> None:
    if not ok:
        raise UserError(message)


def _require_table(name: str, values: Any) -> None:
    _require(isinstance(values, dict), f"{name} is a table of values, not {values!r}")


@dataclass(frozen=True)
class _Spec:
    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            number = type(value) in (int, float) and isfinite(value)
            _require(number, f"{field.name} must be a number, not {value!r}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The reverse of `to_dict`; missing keys keep defaults, unknown ones raise UserError."""
        _require_table(cls.__name__, values)
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        _require(
            not unknown, f"{cls.__name__} has no {', '.join(unknown)}: it has {', '.join(known)}"
        )
        return cls(**values)

    def save(self, path: Path | str) -> Path:
        return write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """UserError where `path` is missing or holds something else."""
        return cls.from_dict(read_json(path))


@dataclass(frozen=True)
class TrainSpec(_Spec):
    """One stage of training with AdamW on CTC.

    epochs, batch (utterances), seed. rate: highest learning rate, reached linearly over the first
    `warmup` share of all steps, then a cosine to zero. weight_decay: AdamW's. clip: largest
    gradient norm. patience: epochs without a lower validation error rate before stopping. noise:
    deviation of Gaussian noise on the normalised features. masks: stretches of up to
    `mask_frames` frames set to zero per utterance (SpecAugment, Park et al. 2019). average: decay
    of a running average of the weights, which is then what is validated and kept (0: the weights
    themselves; see `ernn.train.average`).
    """

    epochs: int = 30
    batch: int = 16
    rate: float = 4e-3
    warmup: float = 0.2
    weight_decay: float = 1e-2
    clip: float = 1.0
    patience: int = 1000
    noise: float = 0.2
    masks: int = 2
    mask_frames: int = 6
    average: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("epochs", "batch", "patience", "mask_frames"):
            value = getattr(self, name)
            _require(
                type(value) is int and value >= 1,
                f"{name} must be a whole number of at least 1, not {value!r}",
            )
        for name in ("seed", "masks"):
            value = getattr(self, name)
            _require(
                type(value) is int and value >= 0,
                f"{name} must be a whole number of at least 0, not {value!r}",
            )
        _require(self.seed < 2**32, f"seed must be below 2**32 = {2**32}, not {self.seed}")
        _require(
            self.rate > 0 and self.clip > 0,
            f"rate and clip must be above 0, not {self.rate} and {self.clip}",
        )
        _require(
            0 <= self.warmup < 1,
            f"warmup is a share of all steps, at least 0 and below 1, not {self.warmup}",
        )
        _require(
            0 <= self.average < 1,
            f"average is a decay per step, at least 0 and below 1, not {self.average}",
        )
        least = min(self.noise, self.weight_decay)
        _require(
            least >= 0,
            f"noise and weight_decay must be at least 0, not {self.noise} and {self.weight_decay}",
        )


@dataclass(frozen=True)
class AdmmSpec(_Spec):
    """ADMM's own values (`ernn.compress.admm.Admm`); `every`: epochs between updates of Z and U.

    tolerance: training ends early once every primal and dual residual is at most this; 0: never.
    """

    rho: float = 1.0
    growth: float = 1.3
    most: float = 1e3
    every: int = 1
    balance: float = 0.0
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(
            0 < self.rho <= self.most,
            f"rho must be above 0 and at most most = {self.most}, not {self.rho}",
        )
        _require(self.growth >= 1, f"growth must be at least 1, not {self.growth}")
        _require(
            type(self.every) is int and self.every >= 1,
            f"every must be at least 1 epoch, not {self.every!r}",
        )
        _require(
            self.balance == 0 or self.balance > 1,
            f"balance must be 0 (off) or a factor above 1, not {self.balance}",
        )
        _require(self.tolerance >= 0, f"tolerance must be at least 0, not {self.tolerance}")


@dataclass(frozen=True)
class DistilSpec(_Spec):
    """How much is learned from a teacher: the two weights of `ernn.train.distil.Distillation`."""

    labels: float = 0.3
    peaks: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(
            min(self.labels, self.peaks) >= 0,
            f"labels and peaks must be at least 0, not {self.labels}, {self.peaks}",
        )


@dataclass(frozen=True)
class DataSpec:
    """Training with rounded data after the compression (`ernn.nn.rounded`).

    bits: of each kind of data; data_bits: of the rest. random: rounded up or down at random instead
    of to the nearest. epochs, rate: of this training, otherwise like that inside the sets.
    """

    bits: DataBits = DataBits()
    data_bits: int = 16
    random: bool = False
    epochs: int = 4
    rate: float = 2e-3

    def __post_init__(self) -> None:
        _require(type(self.random) is bool, f"random must be true or false, not {self.random!r}")
        for name, bits in self.bits.given.items():  # training does not round spectra
            _require(
                bits <= self.data_bits or name == "cell",
                f"{name} cannot have {bits} bits where data_bits is {self.data_bits}",
            )
        self.quantization()
        self.training(TrainSpec())

    def quantization(self) -> QuantizeSpec:
        """What the formats are chosen by."""
        return QuantizeSpec(data_bits=self.data_bits, data=self.bits)

    def training(self, inside: TrainSpec) -> TrainSpec:
        """The training, from that inside the sets."""
        return replace(inside, epochs=self.epochs, rate=self.rate)

    def to_dict(self) -> dict[str, Any]:
        """Plain values in one table, kinds that have no bits of their own left out."""
        values = asdict(self)
        del values["bits"]
        return self.bits.given | values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The reverse of `to_dict`; missing keys keep defaults, unknown ones raise UserError."""
        _require_table(cls.__name__, values)
        kinds, own = (
            [f.name for f in fields(kind) if f.name != "bits"] for kind in (DataBits, cls)
        )
        unknown = sorted(set(values) - {*kinds, *own})
        _require(
            not unknown,
            f"{cls.__name__} has no {', '.join(unknown)}: it has {', '.join([*kinds, *own])}",
        )
        bits = DataBits(**{name: values[name] for name in kinds if name in values})
        return cls(bits, **{name: values[name] for name in own if name in values})
