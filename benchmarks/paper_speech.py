"""Engines of `benchmarks/paper.py`: of a trained network, simulated on real speech, every integer
compared, and how many of its data bits toggle; and what Phase II chooses for blocks of 8."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from devices import described
from hardware import random_model

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


def in_blocks_of_8() -> list[dict[str, Any]]:
    """The paper's layer on the published designs' devices, as `benchmarks/devices.py` has it in
    blocks of 16."""
    rows = []
    for name in ("XC7VX690T", DEVICE):
        device = find_device(name)
        best = search(random_model("L8", 0), Request(device, Clock.assumed(device))).best
        rows.append({"device": name, **described(device, best)})
    return rows
