"""The device and the design that a run's engine has."""

import json
from dataclasses import dataclass

from ernn.errors import UserError
from ernn.estimate.device import Device, find_device
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
        kept = json.loads(run.path(DESIGN).read_text(encoding="utf-8"))
        return Chosen(find_device(kept.pop("device")), Design(**kept))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        found = f"{run.path(DESIGN)} is missing or damaged ({error})"
        raise UserError(f"{found}: `ernn design {run.folder}` again") from None
