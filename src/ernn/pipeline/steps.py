"""The steps of the path: what each needs done before it, and which figures of the record are its own."""

from dataclasses import dataclass

from ernn.errors import UserError


@dataclass(frozen=True)
class Step:
    """`needs`: the step before it. `figures`: dotted paths (or their prefixes) that it sets; `series`: names."""

    name: str
    needs: str | None
    figures: tuple[str, ...]
    series: tuple[str, ...] = ()


DESIGN_FIGURES = (
    "cycles.predicted",
    "cycles_per_frame",
    "utilisation",
    "array_utilisation",
    "multipliers",
    "multiplications",
)
STEPS = (
    Step("train", None, ("error_rate.dense",)),
    Step("compress", "train", ("error_rate.compressed", "compression"), ("convergence", "sizes")),
    Step("quantize", "compress", ("activations",), ("network",)),
    Step("evaluate", "quantize", ("error_rate.integer",), ("utterances",)),
    Step("design", "quantize", DESIGN_FIGURES, ("schedule",)),
    Step("build", "design", ("build",)),
    Step("verify", "build", ("verify", "cycles.simulated", "latency_us"), ("proof",)),
    Step("synth", "build", ("area",), ("areas",)),
    Step("place", "build", ("clock_mhz", "clock", "fps", "latency_us"), ("clocks",)),
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
        if step.needs in found:
            found.add(step.name)
    return tuple(step for step in STEPS if step.name in found and step.name != name)
