"""Tables on a terminal of 80 columns: no number is broken."""

from typing import Any

import pytest

from ernn.cli import console
from ernn.cli.app import run
from ernn.estimate.device import devices
from ernn.pipeline import choosing
from ernn.report.record import Measurement

ROW = (
    "best",
    "12",
    "1 × 1",
    "4",
    "2",
    "1,278",
    "12,872",
    "166",
    "deep, forwarding",
    "676,963",
    "4.633",
    "11,781",
    "20,600",
    "63",
    "594",
    "8%",
)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("count", [1, 3, 17])
def test_designs_stand_side_by_side_where_they_are_too_wide(count: int, capsys: Any) -> None:
    rows = [(f"row {number}", *ROW[1:]) for number in range(count)]
    console.numbers("Designs", choosing.COLUMNS, rows)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].strip() == "Designs" and max(map(len, shown)) <= 80
    assert sum(line.count("676,963") for line in shown) == count
    assert sum(line.count("row ") for line in shown) == count
    assert all(any(line.startswith(heading) for line in shown) for heading in choosing.COLUMNS)


def test_few_numbers_stay_a_table(capsys: Any) -> None:
    console.numbers("Few", ("one", "two"), [("1", "22"), ("333", "4")])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["Few"],
        ["one", "two"],
        ["1", "22"],
        ["333", "4"],
    ]


def test_names_of_devices_can_be_copied(capsys: Any) -> None:
    assert run(["devices"]) == 0
    first = {line.split(" ")[0] for line in capsys.readouterr().out.splitlines()}
    assert {device.name for device in devices()} <= first


@pytest.mark.parametrize(
    ("value", "shown"), [(676_963.2, "676,963"), (1296.0, "1,296"), (4.63312, "4.633"), (0, "0")]
)
def test_a_figure_is_written_without_powers_of_ten(value: float, shown: str) -> None:
    assert console.readable(Measurement(value, "", "estimated", "test")) == shown
