import pytest
import synthetic_run

from ernn.report.record import RunRecord


@pytest.fixture(scope="session")
def full_record() -> RunRecord:
    return synthetic_run.record()
