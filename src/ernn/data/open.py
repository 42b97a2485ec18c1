"""Open a corpus by its name, for the command line."""

from pathlib import Path

from ernn.data.corpus import Corpus
from ernn.data.manifest import Manifest
from ernn.data.own import OwnData
from ernn.errors import UserError

NAMES = (
    "digits",
    "espeak",
    "an4",
    "timit",
    "speechocean762",
    "fsdd",
    "fsdd-words",
    "librispeech",
    "logmel",
    "logmel-more",
)
OWN = "own"


def named(target: str, root: Path | None) -> tuple[str, Path | None]:
    """A corpus' name and where it lies, of its name or of the path of own data."""
    own = Path(target).suffix in (".npz", ".parquet") or Path(target).is_dir()
    if target not in NAMES and own:
        return OWN, root or Path(target)
    return target, root


def open_corpus(
    name: str, root: Path | None = None, seed: int = 0, given: Manifest | None = None
) -> Corpus:
    """The corpus `name`, read from the folder `root`; UserError for an unknown name or no folder.

    `own`: own data in the file or folder `root`, of which `given` says what they do not.

    `digits` and `espeak` need no folder (for `digits`, `root` may name another npz; for
    `espeak`, where its sound is kept). `seed` draws what a corpus leaves open: strings,
    synthetic words, held-out validation speakers.
    """
    match name:
        case "digits":
            from ernn.data.fsdd import connected_digits
            from ernn.data.strings import StringSpec

            return connected_digits(StringSpec(seed=seed), root)
        case "espeak":
            from ernn.data.espeak import EspeakPhones

            return EspeakPhones(seed=seed, cache=root)
        case "an4":
            from ernn.data.an4 import An4

            return An4(_needed(name, root), seed=seed)
        case "timit":
            from ernn.data.timit import Timit

            return Timit(_needed(name, root), seed=seed)
        case "speechocean762":
            from ernn.data.speechocean import SpeechOcean

            return SpeechOcean(_needed(name, root), seed=seed)
        case "fsdd" | "fsdd-words":
            return _fsdd(name, _needed(name, root), seed)
        case "librispeech":
            from ernn.data.librispeech import LibriSpeech

            return LibriSpeech(_needed(name, root), unknown_words="leave out")
        case "logmel" | "logmel-more":
            from ernn.data.logmel import LogMel

            return LogMel(_needed(name, root), more=name == "logmel-more")
        case "own":
            return OwnData(_needed(name, root), given or Manifest(), seed)
        case _:
            raise UserError(
                f"no corpus is called {name!r}; the corpora are {', '.join(NAMES)}, and your own "
                "data, an .npz or .parquet file or a folder"
            )


def _fsdd(name: str, root: Path, seed: int) -> Corpus:
    from ernn.data.fsdd import Fsdd
    from ernn.data.fsdd_files import Sound
    from ernn.data.strings import StringSpec

    if name == "fsdd-words":
        return Fsdd(Sound(root), division="official", strings=None, seed=seed)
    return Fsdd(Sound(root), strings=StringSpec(seed=seed), seed=seed)


def _needed(name: str, root: Path | None) -> Path:
    if root is None:
        raise UserError(f"corpus {name!r} is read from your disk; give its folder: --root FOLDER")
    return root
