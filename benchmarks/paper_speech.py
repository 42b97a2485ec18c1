"""A trained network of `benchmarks/paper.py` on its engine, simulated on real speech: every integer
compared, and how many of its data bits toggle."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ernn.estimate.clock import Clock
from ernn.estimate.device import find_device
from ernn.ir.integer_model import IntegerModel
from ernn.scheduling.schedule import schedule
from ernn.search.choice import Request
from ernn.search.hardware import search
from ernn.verify.prove import measure_activity, measure_cycles, prove, simulator_of

DEVICE = "XCKU060"
UTTERANCES, BUSY = 4, 100
"""Of the test split, all compared; frames of the first, with which bits are counted."""


def heard(model: IntegerModel, utterances: Sequence[np.ndarray]) -> dict[str, Any]:
    """The engine that Phase II chooses for the network, with these utterances' integers."""
    device = find_device(DEVICE)
    choice = search(model, Request(device, Clock.assumed(device))).best
    made = schedule(model, choice.design)
    simulator = simulator_of(made)
    proof = prove(simulator, made, utterances, stall=0.0)
    return {
        "device": DEVICE,
        "design": asdict(choice.design),
        "frames": proof.frames,
        "integers": proof.integers,
        "mismatches": proof.mismatches,
        "violations": list(proof.violations),
        "cycles_predicted": made.interval,
        "cycles_simulated": measure_cycles(simulator, made, utterances[0][0]).interval,
        "utilisation": made.utilisation,
        "activity": measure_activity(simulator, made, utterances[0][:BUSY]),
    }
