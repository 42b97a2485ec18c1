"""ONNX graphs of every form: imported, equal to ONNX Runtime, and split as the table says."""

import numpy as np
import pytest

from ernn.frontends.onnx import import_onnx
from tests.frontends.onnx_graphs import FORMS


@pytest.mark.parametrize("name", FORMS)
def test_form(name):
    form = FORMS[name]
    rng = np.random.default_rng(0)
    frames = (
        rng.integers(0, 9, form.frames)
        if "int64[1" in form.inputs
        else rng.normal(size=form.frames)
    )
    imported = import_onnx(form.model(), frames)
    sides = {
        when: tuple(one.where.split()[0] for one in imported.stays if one.when == when)
        for when in ("before", "after")
    }
    assert sides == {"before": form.before, "after": form.after}
    assert imported.plain == form.plain
