"""The page of published figures holds what reports and searches take: rows, devices, marks."""

from dataclasses import astuple
from pathlib import Path

from ernn.estimate.device import Figure, devices
from ernn.report.published import ACCELERATORS, ERROR_RATES, MARKS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "published.md"


def rows() -> list[tuple[str, ...]]:
    """Cells of every row of every table."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    tables = [line for line in lines if line.startswith("|")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in tables]


def test_accelerators_and_error_rates_are_the_reports() -> None:
    found = rows()
    assert [one for one in (*ACCELERATORS, *ERROR_RATES) if astuple(one) not in found] == []
    assert {mark for mark, *_ in found if mark in MARKS} == set(MARKS)


def test_devices_are_the_searches() -> None:
    found = rows()
    for device in devices():
        figures = (device.lut, device.ff, device.dsp, device.block_ram, device.ultra_ram)
        counts = [f"{figure.value:,}" for figure in figures]
        operands = "{} × {}".format(*device.multiplier)
        expected = (device.name, *counts[:3], operands, *counts[3:], _marks(figures))
        assert expected in found


def _marks(figures: tuple[Figure, ...]) -> str:
    logic, *_, rest = (figure.mark for figure in figures[:4])
    return logic if logic == rest else f"LUT and FF {logic}, the rest {rest}"


def test_edgedrnn_has_the_weights_of_its_network() -> None:
    """Two GRU layers of 768 units, whatever few numbers they read."""
    (edge,) = (one for one in ACCELERATORS if one.design.startswith("EdgeDRNN"))
    recurrent = 3 * 3 * 768**2
    assert edge.weights == f"{recurrent / 1e6:.0f} M"
