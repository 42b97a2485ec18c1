"""What setup.py does beside setuptools' own."""

import runpy
from pathlib import Path

import setuptools
from setuptools import Distribution

SETUP = Path(__file__).parents[2] / "setup.py"


def test_a_rebuilt_library_takes_the_old_ones_place_at_once(tmp_path, monkeypatch):
    """A process that has loaded the old one keeps it, one that starts loads no half of the new."""
    given = {}
    monkeypatch.setattr(setuptools, "setup", given.update)
    runpy.run_path(str(SETUP))
    old, new = tmp_path / "library.so", tmp_path / "built.so"
    old.write_bytes(b"old")
    new.write_bytes(b"new, and longer")
    with old.open("rb") as loaded:
        command = given["cmdclass"]["build_ext"](Distribution({"name": "any"}))
        seen = []
        real = Path.replace

        def replace(self, target):
            seen.append((self.read_bytes(), Path(target).read_bytes()))
            return real(self, target)

        monkeypatch.setattr(Path, "replace", replace)
        command.copy_file(str(new), str(old))
        assert loaded.read() == b"old"
    assert seen == [(b"new, and longer", b"old")]
    assert old.read_bytes() == b"new, and longer"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["built.so", "library.so"]
