"""Results of tools kept by the digest of everything that made them.

An entry is a directory `root/kind/key` that appears whole or not at all.  The key covers
the input bytes, the options and the tool's name and version, so an entry is never out of
date; deleting the cache only costs time.  Logs are kept: in the entry if the tool
succeeded, otherwise in `root/failed`.
"""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ernn.errors import UserError
from ernn.flow.process import ToolError
from ernn.ground.locks import held


def cache_key(*parts: str | bytes) -> str:
    """Digest of an ordered list of parts; ("ab", "c") and ("a", "bc") differ."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:32]


@dataclass(frozen=True)
class Cache:
    """Entries below `root`. Of two processes at a time the second waits, then finds the entry."""

    root: Path

    @classmethod
    def default(cls) -> "Cache":
        """$ERNN_CACHE, or ernn below $XDG_CACHE_HOME, or ~/.cache/ernn."""
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(Path(os.environ.get("ERNN_CACHE") or Path(base) / "ernn").absolute())

    def holds(self, kind: str, key: str) -> bool:
        """Whether the entry is there."""
        return (self.root / kind / key).exists()

    def entry(self, kind: str, key: str, make: Callable[[Path], object]) -> Path:
        """The directory of `key`; if there is none, `make(directory)` fills an empty one for it.

        `make` must not write outside that directory nor rely on its path later: it is renamed.
        """
        final = self.root / kind / key
        if self.holds(kind, key):
            return final
        self._require_writable()
        with held(self.root / "locks" / f"{kind}-{key}", wait=True):
            if not self.holds(kind, key):
                self._make(kind, key, make)
        return final

    def _require_writable(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.root).close()
        except OSError as error:
            reason = error.strerror or error
            raise UserError(
                f"the cache {self.root} cannot be written ({reason}): set ERNN_CACHE to a folder"
            ) from None

    def _make(self, kind: str, key: str, make: Callable[[Path], object]) -> None:
        parent = self.root / kind
        parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=parent, prefix=".work-"))
        try:
            make(work)
            work.chmod(0o755)
            with contextlib.suppress(FileExistsError):
                work.rename(parent / key)
        except ToolError as error:
            raise ToolError(error.what, self._keep(error.log, f"{kind}-{key}")) from None
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _keep(self, log: Path, name: str) -> Path:
        kept = self.root / "failed" / f"{name}.log"
        kept.parent.mkdir(parents=True, exist_ok=True)
        return log.replace(kept)
