"""What `ernn doctor` says of the package's extras: which are there, and how the rest would be."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec

from ernn.errors import extras

PURPOSES = {
    "train": "training, compression, speech",
    "speech": "the corpus `espeak`",
    "hardware": "engines, their proof and clock",
    "search": "`ernn search`",
}
"""`cluster` differs from `search` by parts of Ray alone, which do not show from here."""
CPU = (
    "pip brings torch with CUDA, gigabytes that nothing here uses; its CPU build first: "
    "pip install torch --index-url https://download.pytorch.org/whl/cpu"
)


@dataclass(frozen=True)
class Extra:
    """`missing`: packages of it that are not there. `holds`: its first, with version, if it is."""

    name: str
    purpose: str
    missing: tuple[str, ...]
    holds: str
    install: str

    @property
    def said(self) -> str:
        """What it holds, or what to install."""
        return self.install if self.missing else self.holds


def found() -> Iterator[Extra]:
    """Those that a user may want."""
    for name, purpose in PURPOSES.items():
        packages = extras()[name]
        versions = {package: _version(package) for package in packages}
        missing = tuple(package for package in packages if not versions[package])
        holds = f"{packages[0]} {versions[packages[0]]}"
        yield Extra(name, purpose, missing, holds, f"pip install 'ernn[{name}]'")


def _version(package: str) -> str:
    """Empty where it is not there."""
    return "" if find_spec(package.replace("-", "_")) is None else version(package)
