"""Power: an estimate whose parts scale as they should, whose figures name their
source, and which says what it is.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from ernn.errors import UserError
from ernn.estimate.device import devices, find_device
from ernn.estimate.power import (
    LOGIC,
    MEMORY,
    MULTIPLY,
    STATIC,
    Engine,
    Process,
    assumed_activity,
    assumptions,
    estimate,
)
from ernn.flow.simulate import ProbeWrites

DEVICE = find_device("LFE5U-85F")
ENGINE = Engine(40_000, 50_000, 146, 2_000, (16, 12), 100.0, 0.95, 0.2, simulated=True)


def test_energies_of_the_reference_process_come_out_as_published() -> None:
    """Horowitz's table, at 45 nm and 0.9 V: 3.1 pJ for 32 by 32
    bits, 10 pJ for 64 bits out of 8 KB.
    """
    own = Process(45, 0.9)
    assert MULTIPLY.joules(own) == pytest.approx(3.1e-12) and MEMORY.joules(own) == pytest.approx(
        10e-12
    )
    assert LOGIC.joules(Process(75, 1.5)) == pytest.approx(LOGIC.picojoules / 2 * 1e-12)
    assert LOGIC.joules(Process(150, 0.75)) == pytest.approx(LOGIC.picojoules / 4 * 1e-12)


def test_each_part_by_hand() -> None:
    """On 40 nm, 1.1 V: 6,250 CLBs, 146 products of 16 by 12 bits, 2,000 bits
    read, 100 million times a second.
    """
    power = estimate(DEVICE, ENGINE)
    assert power.logic == pytest.approx(
        1e8 * 6250 * 5.9e-12 * (40 / 150) * (1.1 / 1.5) ** 2 * 0.2 * 8
    )
    small = (40 / 45) * (1.1 / 0.9) ** 2
    assert power.multipliers == pytest.approx(1e8 * 146 * 0.95 * 3.1e-12 * 16 * 12 / 1024 * small)
    assert power.block_ram == pytest.approx(1e8 * 2000 * 0.95 * 10e-12 / 64 * small)
    assert power.total == power.static + power.dynamic and power.static == STATIC["LFE5U-85F"]


def test_dynamic_power_goes_with_the_clock_and_static_power_does_not() -> None:
    once, twice = estimate(DEVICE, ENGINE), estimate(DEVICE, replace(ENGINE, clock_mhz=200.0))
    assert twice.dynamic == pytest.approx(2 * once.dynamic) and twice.static == once.static


def test_every_device_has_an_estimate_and_says_what_it_assumes() -> None:
    for device in devices():
        assert estimate(device, ENGINE).total > STATIC[device.name] > 0
        said = "\n".join(assumptions(device, ENGINE))
        assert (
            "uncalibrated" in said
            and "Horowitz" in said
            and device.name in said
            and "counted in simulation" in said
        )
    assert "assumed" in assumptions(DEVICE, replace(ENGINE, simulated=False))[0]


def test_shares_are_shares() -> None:
    assert assumed_activity(0.9) == 0.45
    with pytest.raises(UserError, match="activity is a share from 0 to 1, not 20"):
        replace(ENGINE, activity=20)


def test_toggles_are_the_bits_that_differ() -> None:
    words = np.random.default_rng(0).integers(0, 256, (50, 3), np.uint8)
    nothing = np.zeros(50, np.uint64)
    values = [int.from_bytes(bytes(row), "little") for row in words]
    by_hand = sum((a ^ b).bit_count() for a, b in pairwise(values))
    assert ProbeWrites(nothing, nothing, words).toggles == by_hand
