"""How errors grow with noise, with adversarial perturbations, and with flipped bits of memories."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from statistics import mean
from types import MappingProxyType
from typing import Any, Literal, get_args

from ernn.data.batches import Example
from ernn.data.cache import progress
from ernn.data.objective import Objective
from ernn.files import write_atomic, write_json
from ernn.golden.faults import memory_bits, with_upsets
from ernn.ir import serialization as codec
from ernn.ir.integer_model import IntegerModel
from ernn.nn.model import AcousticModel
from ernn.pipeline import sequences
from ernn.pipeline.kept import MODEL
from ernn.pipeline.network import compressed_model, dense_model, integer_rate
from ernn.pipeline.run import Run
from ernn.report.curves import Curve, curves
from ernn.report.svg import standalone
from ernn.train.evaluate import evaluate_model
from ernn.train.robustness import attacked, noisy

Strain = Literal["noise", "FGSM", "PGD", "weights", "tables"]
"""weights, tables: flipped bits of that memory."""
STRAINS: tuple[Strain, ...] = get_args(Strain)
LEVELS: Mapping[Strain, tuple[float, ...]] = MappingProxyType(
    {
        "noise": (0.1, 0.2, 0.4, 0.8),
        "FGSM": (0.05, 0.1, 0.2),
        "PGD": (0.05, 0.1, 0.2),
        "weights": (1e-5, 1e-4, 1e-3, 1e-2),
        "tables": (1e-4, 1e-3, 1e-2),
    }
)
AXES: Mapping[Strain, str] = MappingProxyType(
    {
        "noise": "Noise, deviations of a feature",
        "FGSM": "FGSM, at most so many deviations",
        "PGD": "PGD, at most so many deviations",
        "weights": "Flipped share of the weights' bits",
        "tables": "Flipped share of the tables' bits",
    }
)
ATTACKS: tuple[Strain, ...] = ("FGSM", "PGD")
FLIPS: tuple[Strain, ...] = ("weights", "tables")
PGD_STEPS = 5
DRAWS = 3
"""How often noise and flipped bits are drawn; errors are means over the draws."""
NOTE = (
    "measured; noise and flipped bits are means of so many draws, attacks follow the gradient of "
    "the float network (that of integers: of the network they were made of)"
)


@dataclass(frozen=True, eq=False)
class Subject:
    """A network under strain. `integers`: what is run, if given; `module`: attacks' gradient.

    zeros: False where the weights' zeros are not stored and cannot flip.
    """

    name: str
    module: AcousticModel
    objective: Objective
    integers: IntegerModel | None = None
    zeros: bool = True

    def percent(self, examples: Sequence[Example]) -> float:
        if self.integers is None:
            return evaluate_model(self.module, examples, self.objective).percent
        return integer_rate(self.integers, examples, self.objective).percent


@dataclass(frozen=True)
class Line:
    """`error` in per cent of a network at a level of a strain."""

    network: str
    strain: Strain
    level: float
    error: float


def levels(subject: Subject) -> list[tuple[Strain, float]]:
    """What a network is put under; level 0 is nothing. Flipped bits are of integers alone."""
    own: list[Strain] = [
        strain for strain in STRAINS if subject.integers is not None or strain not in FLIPS
    ]
    return [(strain, level) for strain in own for level in (0.0, *LEVELS[strain])]


def lines(
    subject: Subject, examples: Sequence[Example], seed: int = 0, draws: int = DRAWS
) -> Iterator[Line]:
    """The errors at all `levels`, of noise and flipped bits the mean of `draws`."""
    own = subject.percent(examples)
    for strain, level in levels(subject):
        seeds = range(seed, seed + (1 if strain in ATTACKS else draws))
        errors = (
            [_error(subject, examples, strain, level, one) for one in seeds] if level else [own]
        )
        yield Line(subject.name, strain, level, mean(errors))


def _error(
    subject: Subject, examples: Sequence[Example], strain: Strain, level: float, seed: int
) -> float:
    match strain:
        case "noise":
            return subject.percent(noisy(examples, level, seed))
        case "FGSM":
            return subject.percent(attacked(subject.module, examples, subject.objective, level))
        case "PGD":
            moved = attacked(subject.module, examples, subject.objective, level, PGD_STEPS, seed)
            return subject.percent(moved)
        case "weights" | "tables":
            assert subject.integers is not None
            zeros = subject.zeros or strain == "tables"
            flips = round(level * memory_bits(subject.integers, strain, zeros))
            struck = with_upsets(subject.integers, flips, seed, strain, zeros)
            return replace(subject, integers=struck).percent(examples)


def measure(run: Run, utterances: int, seed: int) -> dict[str, Any]:
    """Of the run's dense network and, as far as there, the compressed one and its integers.

    On the first validation utterances. Writes robustness.json and robustness.svg into the run.
    """
    task = sequences.prepared(run).task
    examples, subjects = task.validation[:utterances], list(_subjects(run, task.objective))
    coming = chain.from_iterable(lines(subject, examples, seed) for subject in subjects)
    found = list(
        progress(coming, "Errors under strain", sum(len(levels(subject)) for subject in subjects))
    )
    picture = write_atomic(run.path("robustness.svg"), standalone(drawn(found)))
    result = {
        "kind": "measured",
        "note": NOTE,
        "split": "validation",
        "utterances": len(examples),
        "seed": seed,
        "draws": DRAWS,
        "picture": str(picture),
        "lines": [asdict(line) for line in found],
    }
    write_json(run.path("robustness.json"), result)
    return result


def _subjects(run: Run, objective: Objective) -> Iterator[Subject]:
    last = dense_model(run)
    yield Subject("dense", last, objective)
    if run.done("compress"):
        last = compressed_model(run)
        yield Subject("compressed", last, objective)
    if run.done("quantize"):
        yield Subject("integers", last, objective, codec.load(run.path(MODEL), IntegerModel))


def drawn(found: Sequence[Line]) -> str:
    """A panel for each strain, a curve for each network."""
    panels = {}
    for strain in STRAINS:
        of = [line for line in found if line.strain == strain]
        names = dict.fromkeys(line.network for line in of)
        panels[AXES[strain]] = [
            Curve(name, tuple((line.level, line.error) for line in of if line.network == name))
            for name in names
        ]
    return curves({axis: some for axis, some in panels.items() if some}, "error, %")
