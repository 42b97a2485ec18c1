"""Equal content is equal bytes: in any order of making, in any process, on any day."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ernn.report.record import Measurement, RunRecord

PAGES = """
import sys
from pathlib import Path
sys.path[:0] = ["tests/report"]
import synthetic_run
from test_comparison_page import COMPARISON
from ernn.report import comparison, page
folder = Path(sys.argv[1])
record = synthetic_run.record().save(folder / "record.json")
page.write_report(record, folder / "report.html")
list(comparison.write(folder, "comparison", COMPARISON))
"""


def test_pages_do_not_depend_on_the_process(tmp_path: Path) -> None:
    made = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        environment = os.environ | {"PYTHONHASHSEED": seed, "TZ": f"UTC+{seed}"}
        subprocess.run([sys.executable, "-c", PAGES, folder], env=environment, check=True)
        made.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert made[0] == made[1] and len(made[0]) == 5


@pytest.mark.parametrize("turned", [False, True])
def test_a_record_does_not_depend_on_the_order_of_its_making(turned: bool) -> None:
    figures = [(path, Measurement(1.0, "", "measured", "test")) for path in ("a.b", "a.a", "c")]
    series = [("one", {"x": 1, "y": [{"p": 1, "q": 2}]}), ("two", 2)]
    turned_series = [("two", 2), ("one", {"y": [{"q": 2, "p": 1}], "x": 1})]
    record = RunRecord()
    for path, measurement in reversed(figures) if turned else figures:
        record.set(path, measurement)
    for name, data in turned_series if turned else series:
        record.set_series(name, data)
    assert '"one": {"x": 1, "y": [{"p": 1, "q": 2}]}' in record.to_json()
    assert record.to_json() == RunRecord.from_json(record.to_json()).to_json()
