"""Open a corpus by its name, for the command line."""

from pathlib import Path

from ernn.data.corpus import Corpus
from ernn.errors import UserError

NAMES = ("digits", "an4")


def open_corpus(name: str, root: Path | None = None, seed: int = 0) -> Corpus:
    """The corpus `name`, read from the folder `root` (`digits` needs none); UserError for other names.

    `seed` draws what a corpus leaves open: strings, synthetic words, held-out validation speakers.
    """
    match name:
        case "digits":
            from ernn.data.digits import ConnectedDigits
            from ernn.data.strings import StringSpec

            return ConnectedDigits(StringSpec(seed=seed), root)
        case "an4":
            from ernn.data.an4 import An4

            return An4(_needed(name, root), seed=seed)
        case _:
            raise UserError(f"no corpus is called {name!r}; the corpora are {', '.join(NAMES)}")


def _needed(name: str, root: Path | None) -> Path:
    if root is None:
        raise UserError(f"corpus {name!r} is read from your disk; give its folder")
    return root
