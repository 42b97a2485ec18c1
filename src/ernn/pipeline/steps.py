"""The steps of the path: what each needs done before it, and which figures it writes."""

from dataclasses import dataclass

from ernn.errors import UserError


@dataclass(frozen=True)
class Step:
    """`needs`: steps of which one is done before it; a run begins with one that needs none.

    `code`: folders of this package whose files decide what it does. `figures`: dotted paths (or
    their prefixes) that it sets; `series`: names.
    """

    name: str
    needs: tuple[str, ...]
    code: tuple[str, ...]
    figures: tuple[str, ...]
    series: tuple[str, ...] = ()


TRAINING = ("ir", "data", "nn", "compress", "train")
INTEGERS = ("ir", "quantization", "data", "golden")
DESIGNING = (*INTEGERS, "scheduling", "estimate", "search")
HARDWARE = (*INTEGERS, "scheduling", "estimate", "rtl", "flow", "verify")


QUANTIZED_FIGURES = ("activations", "quantization", "share_in_hardware")
DESIGN_FIGURES = (
    "cycles.predicted",
    "cycles_per_frame",
    "utilisation",
    "array_utilisation",
    "multipliers",
    "multiplications",
    "chosen",
)
VERIFY_FIGURES = ("verify", "cycles.simulated", "latency_us", "activity", "power")
STEPS = (
    Step("train", (), TRAINING, ("error_rate.dense", "f1.dense")),
    Step(
        "compress",
        ("train",),
        TRAINING,
        ("error_rate.compressed", "f1.compressed", "compression"),
        ("convergence", "sizes"),
    ),
    Step(
        "quantize",
        ("compress",),
        INTEGERS,
        QUANTIZED_FIGURES,
        ("network", "precision", "hosted"),
    ),
    Step(
        "import",
        (),
        (*INTEGERS, "frontends"),
        QUANTIZED_FIGURES,
        ("network", "precision", "hosted", "sizes"),
    ),
    Step(
        "evaluate",
        ("quantize",),
        INTEGERS,
        ("error_rate.integer", "f1.integer"),
        ("utterances", "decisions", "traces"),
    ),
    Step("design", ("quantize", "import"), DESIGNING, DESIGN_FIGURES, ("schedule", "designs")),
    Step("build", ("design",), HARDWARE, ("build",)),
    Step("verify", ("build",), HARDWARE, VERIFY_FIGURES, ("proof", "power")),
    Step("synth", ("build",), HARDWARE, ("area", "power"), ("areas", "power")),
    Step(
        "place",
        ("build",),
        HARDWARE,
        ("clock_mhz", "clock", "fps", "latency_us", "power"),
        ("clocks", "power"),
    ),
)
_BY_NAME = {step.name: step for step in STEPS}


def step_named(name: str) -> Step:
    """The step called `name`; UserError where there is none."""
    if name not in _BY_NAME:
        raise UserError(f"no step is called {name!r}; the steps are {', '.join(_BY_NAME)}")
    return _BY_NAME[name]


def dependents(name: str) -> tuple[Step, ...]:
    """Every step that uses, directly or not, what step `name` makes."""
    found = {name}
    for step in STEPS:
        if found.intersection(step.needs):
            found.add(step.name)
    return tuple(step for step in STEPS if step.name in found and step.name != name)
