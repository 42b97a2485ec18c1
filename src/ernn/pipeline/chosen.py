"""The device and the design that a run's engine has."""

from dataclasses import dataclass

from ernn.errors import UserError
from ernn.estimate.device import Device, find_device
from ernn.ground.plain import decode
from ernn.ground.reading import read_json
from ernn.pipeline.run import Run
from ernn.scheduling.design import Design

DESIGN = "design.json"


@dataclass(frozen=True)
class Chosen:
    """What `ernn design` chose."""

    device: Device
    design: Design


def chosen(run: Run) -> Chosen:
    """UserError where there is no design yet, or its file is missing or damaged."""
    run.options("design")
    try:
        kept = read_json(run.path(DESIGN))
        named = kept.pop("device", None) if isinstance(kept, dict) else None
        return Chosen(find_device(str(named)), decode("a design", Design, kept))
    except UserError as error:
        found = f"{run.path(DESIGN)} is missing or damaged ({error})"
        raise UserError(f"{found}: `ernn design {run.folder}` again") from None
