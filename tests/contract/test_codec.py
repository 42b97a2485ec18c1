"""Save, load, digest: the same value back, and nothing but that from a damaged file."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from ernn.errors import UserError
from ernn.ir.integer_model import IntegerModel
from ernn.ir.integer_parts import Units
from ernn.ir.network import Network
from ernn.ir.serialization import digest, load, save
from tests.models import random_integer_model, random_network, with_exponents

KINDS = [
    {"cell": "lstm", "projection": 6, "peepholes": True, "states": True, "layers": 2, "outputs": 3},
    {"cell": "gru", "outputs": 5, "last_step": True},
    {"cell": "gru", "reset": "before", "bidirectional": True, "block": 8},
]


def same(a, b) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(same, a, b))
    if is_dataclass(a):
        return type(a) is type(b) and all(
            same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a)
        )
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("kind", [IntegerModel, Network])
def test_what_is_loaded_is_what_was_saved(tmp_path, options, kind):
    make = random_integer_model if kind is IntegerModel else random_network
    rng = np.random.default_rng(0)
    value = make(rng, **options)
    if isinstance(value, IntegerModel):
        value = replace(with_exponents(rng, value), units=(Units("l0.c", np.arange(3)),))
    loaded = load(save(tmp_path / "model.ernn", value), kind)
    assert same(loaded, value)
    assert digest(loaded) == digest(value)


def test_the_digest_sees_every_part():
    model = random_integer_model(np.random.default_rng(1))
    matrix = model.layers[0].products[0].operands[0].matrix
    before = digest(model)
    matrix.weights[0, 0, 0, 0] ^= 1
    assert digest(model) != before
    matrix.weights[0, 0, 0, 0] ^= 1
    assert digest(model) == before
    assert digest(replace(model, last_step=True)) != before
    table = model.tables[0]
    tables = (replace(table, max_error=2 * table.max_error), *model.tables[1:])
    assert digest(replace(model, tables=tables)) != before


def test_arrays_are_stored_narrow(tmp_path):
    model = random_integer_model(np.random.default_rng(2), hidden=64, block=8)
    weights = sum(
        o.matrix.weights.size for layer in model.layers for p in layer.products for o in p.operands
    )
    assert save(tmp_path / "m", model).stat().st_size < 2 * weights + 30_000


@pytest.mark.parametrize("where", [3, 100, -1])
def test_a_damaged_file_is_refused(tmp_path, where):
    path = save(tmp_path / "m", random_network(np.random.default_rng(3)))
    content = bytearray(path.read_bytes())
    content[where] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(UserError, match="is not a file written by ernn, or is damaged"):
        load(path, Network)


def test_the_wrong_kind_and_no_file_are_refused(tmp_path):
    path = save(tmp_path / "m", random_network(np.random.default_rng(4)))
    with pytest.raises(UserError, match="holds a Network, not a IntegerModel"):
        load(path, IntegerModel)
    with pytest.raises(UserError, match=r"cannot read .*No such file"):
        load(tmp_path / "none", Network)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match="damaged"):
        load(path, Network)


def test_a_class_that_is_not_listed_is_not_made(tmp_path):
    with pytest.raises(TypeError, match="cannot save a PosixPath"):
        save(tmp_path / "m", tmp_path)


def test_equal_content_is_equal_bytes(tmp_path):
    """Twenty saves of one network were six files: a container of a library orders its metadata as
    its hash map does.
    """
    model = random_integer_model(np.random.default_rng(5))
    loaded = load(save(tmp_path / "first", model), IntegerModel)
    for index in range(20):
        again = save(tmp_path / f"again{index}", loaded)
        assert again.read_bytes() == (tmp_path / "first").read_bytes()


def test_other_programs_read_the_arrays(tmp_path):
    network = random_network(np.random.default_rng(6))
    arrays = load_file(save(tmp_path / "m", network))
    matrix = network.layers[0].weights[0][0].value
    assert any(same(array, matrix) for array in arrays.values())
