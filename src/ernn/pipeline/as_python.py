"""The path from a user's own sequences to a placed engine: a method for each command."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ernn.data.arrays import Sequences
from ernn.data.open import OWN, named
from ernn.errors import UserError, naming_extras, require
from ernn.pipeline import run as runs
from ernn.report.record import Measurement

if TYPE_CHECKING:
    from ernn.compress.plan import CompressionPlan
    from ernn.quantization.quantize import QuantizeSpec

DATA = "data.npz"
"""In the run's folder: sequences that were given in memory."""


class Figures(dict[str, Measurement]):
    """What a step found, by name: `figures["error_rate.integer"].value`."""

    def __str__(self) -> str:
        lines = (f"{name}: {m.value:,.6g} {m.unit}".rstrip() for name, m in self.items())
        kinds = (m.kind for m in self.values())
        return "\n".join(f"{line} ({kind})" for line, kind in zip(lines, kinds, strict=True))


@naming_extras()
def fit(
    data: Sequences | str | Path,
    folder: str | Path,
    *,
    cell: str | None = None,
    hidden: int | None = None,
    layers: int | None = None,
    epochs: int | None = None,
    recipe: str | Path | None = None,
    seed: int = 0,
    progress: bool = True,
) -> "Run":
    """A network trained on your own data, in a run directory that every command takes.

    data: sequences, or the path of an npz or a folder (docs/how-to/own-data.md).
    folder: the run directory; it is made, and sequences are kept in it.
    cell: kind of the recurrent layers, lstm, gru, ...; None: the recipe's.
    hidden: units of each; None: the recipe's.
    layers: how many; None: the recipe's.
    epochs: of the training; None: the recipe's.
    recipe: a TOML file with more to change (docs/how-to/compress.md).
    seed: every random choice follows from it.
    progress: whether a bar is shown.

    Raises UserError where the data do not fit together or the training diverges.

    >>> import ernn, numpy as np
    >>> windows = np.random.default_rng(0).standard_normal((30, 20, 3))
    >>> data = ernn.Sequences(windows, ["walk", "run", "jump"] * 10)
    >>> run = ernn.fit(data, "out/moves", hidden=8, epochs=1, progress=False)
    >>> 0 <= run.figures["error_rate.dense"].value <= 100
    True
    """
    from ernn.pipeline.begin import Wanted, begin

    require(data, Sequences | str | Path, "data are Sequences, or the path of an npz or a folder")
    path = data.save(Path(folder) / DATA) if isinstance(data, Sequences) else Path(data)
    if named(str(path), None)[0] != OWN:
        raise UserError(f"{path} is neither an npz nor a folder")
    shape: Any = (cell, hidden, layers)
    file = None if recipe is None else Path(recipe)
    begin(
        folder, OWN, path, Wanted(*shape, epochs=epochs, recipe=file, seed=seed), progress=progress
    )
    return Run(folder)


class Run:
    """A run directory, and the steps over it; `fit` begins one, and so does `ernn train`.

    folder: where it lies; UserError where there is no run.

    Each step gives its figures, and is skipped where nothing that it follows from has changed.
    Raises UserError where a step before it is missing.

    >>> import ernn, numpy as np
    >>> windows = np.random.default_rng(0).standard_normal((30, 20, 3))
    >>> data = ernn.Sequences(windows, ["walk", "run", "jump"] * 10)
    >>> run = ernn.fit(data, "out/moves", hidden=8, epochs=1, progress=False)
    >>> figures = run.compress(block=4, towards=1, inside=1, progress=False)
    >>> figures["compression.weights"].value
    96
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._run = runs.Run.existing(folder)

    @property
    def figures(self) -> Figures:
        """All that was found so far, by name."""
        return Figures(self._run.record.measurements())

    @naming_extras()
    def compress(
        self,
        block: int | None = None,
        plan: "CompressionPlan | None" = None,
        *,
        solver: str = "admm",
        towards: int | None = None,
        inside: int | None = None,
        seed: int = 0,
        progress: bool = True,
    ) -> Figures:
        """Train the weights into a structure.

        block: size of circulant blocks; with no plan either, the recipe's.
        plan: any structures, in place of blocks.
        solver: admm, one-shot, direct or gradual.
        towards: epochs towards the structure; None: the recipe's.
        inside: epochs inside it; None: the recipe's, of direct those of all its stages.
        seed: every random choice follows from it.
        progress: whether a bar is shown.
        """
        from ernn.pipeline import choices, network, sequences
        from ernn.pipeline.defaults import recipe_for

        recipe = recipe_for(sequences.prepared(self._run).corpus).with_seed(seed)
        asked = plan or choices.plan(block, None, None, None, None) or recipe.plan
        way = choices.solver(solver, recipe, towards, inside)
        return _found(network.compress(self._run, asked, way, progress=progress))

    @naming_extras()
    def quantize(self, spec: "QuantizeSpec | None" = None, utterances: int = 200) -> Figures:
        """Turn the network into integers.

        spec: bits of weights and data; None: 12 and 16.
        utterances: training sequences that formats are chosen from.
        """
        from ernn.pipeline import network
        from ernn.quantization.quantize import DEFAULT

        return _found(network.quantize_network(self._run, spec or DEFAULT, utterances))

    @naming_extras()
    def evaluate(self, shown: int = 2) -> Figures:
        """Count the integers' errors on the test split.

        shown: sequences that the report shows.
        """
        from ernn.pipeline import network

        return _found(network.evaluate(self._run, shown))

    @naming_extras()
    def design(
        self, device: str, *, goal: str = "throughput", streams: int | None = None
    ) -> Figures:
        """Choose the engine for a device, as `ernn.design` does.

        device: a part's name, e.g. "LFE5U-25F".
        goal: "throughput" or "latency".
        streams: independent sequences that take turns, 1 to 16; None: as many as pay.
        """
        from ernn.pipeline import choosing, hardware

        return _found(hardware.design(self._run, choosing.request(device, goal, streams)))

    @naming_extras()
    def build(self) -> Figures:
        """Write the engine's Verilog into the folder's rtl."""
        from ernn.pipeline import hardware

        return _found(hardware.build(self._run))

    @naming_extras()
    def verify(self, frames: int | None = None, *, stall: float = 0.2, seed: int = 0) -> Figures:
        """Simulate test sequences, comparing every integer with golden's.

        frames: at least so many; None: 2,000, or all where there are fewer.
        stall: probability that either handshake pauses in a cycle, at least 0 and below 1.
        seed: of the stalls.

        Raises UserError where anything differs.
        """
        from ernn.pipeline import hardware

        found = _found(hardware.verify(self._run, frames, stall, seed))
        if wrong := hardware.disagreement(self._run):
            raise UserError(wrong)
        return found

    @naming_extras()
    def synth(self) -> Figures:
        """Count the engine's cells on its device."""
        from ernn.pipeline import placing

        return _found(placing.synth(self._run, ()))

    @naming_extras()
    def place(self, seeds: tuple[int, ...] = (1,), target_mhz: float = 100.0) -> Figures:
        """Place and route the engine (Lattice ECP5); takes minutes.

        seeds: of the placer; the median clock counts.
        target_mhz: what the placer is asked for.
        """
        from ernn.pipeline import placing

        return _found(placing.place(self._run, seeds, None, target_mhz))

    @naming_extras()
    def report(self) -> Path:
        """Write the page of the run; its path."""
        from ernn.pipeline import summary

        return summary.write(self._run)


def _found(outcome: Any) -> Figures:
    return Figures(outcome.figures)
