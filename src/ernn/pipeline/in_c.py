"""A run's network in integers as C for processors."""

from pathlib import Path

from ernn.files import write_atomic
from ernn.golden.source import c_source
from ernn.pipeline.kept import model_of
from ernn.pipeline.run import Run

C = "c"


def in_c(run: Run) -> list[Path]:
    """Write ernn.h and ernn.c into the run's folder; no design is needed."""
    header, body = c_source(model_of(run))
    texts = {"ernn.h": header, "ernn.c": body}
    return [write_atomic(run.path(C) / name, text) for name, text in texts.items()]
