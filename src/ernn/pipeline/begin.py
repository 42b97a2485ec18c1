"""A run's beginning: a corpus, its recipe, and what a person changes of it."""

from dataclasses import dataclass, replace
from pathlib import Path

from ernn.data.manifest import Manifest
from ernn.data.open import open_corpus
from ernn.ir.cells import ResetGate
from ernn.nn.spec import Cell, LayerSpec
from ernn.pipeline import network, sequences
from ernn.pipeline.defaults import recipe_for
from ernn.pipeline.run import Outcome, Run
from ernn.train.recipes import Recipe


@dataclass(frozen=True)
class Wanted:
    """The network and its training; None, and defaults: as the recipe says. recipe: a file."""

    cell: Cell | None = None
    hidden: int | None = None
    layers: int | None = None
    projection: int | None = None
    peepholes: bool = False
    reset: ResetGate = "after"
    epochs: int | None = None
    recipe: Path | None = None
    seed: int = 0

    def layers_of(self, recipe: Recipe) -> tuple[LayerSpec, ...]:
        """The recipe's, or as many of one kind as are wanted."""
        own = (self.cell, self.hidden, self.layers, self.projection)
        if own == (None,) * len(own) and not self.peepholes and self.reset == "after":
            return recipe.layers
        first = recipe.layers[0]
        kind, units = self.cell or first.cell, self.hidden or first.hidden
        layer = LayerSpec(kind, units, self.projection, self.peepholes, self.reset)
        return (layer,) * (self.layers or len(recipe.layers))


def begin(
    folder: Path | str,
    name: str,
    root: Path | None,
    wanted: Wanted,
    given: Manifest | None = None,
    *,
    progress: bool = True,
) -> Outcome:
    """Train a dense network on the corpus `name` (`ernn.data.open`), in a run in `folder`."""
    corpus = open_corpus(name, root, given=given)
    recipe = recipe_for(corpus, wanted.recipe)
    spec = replace(recipe.dense, seed=wanted.seed, epochs=wanted.epochs or recipe.dense.epochs)
    source = sequences.describe(corpus, name, 0, recipe.features)
    layers = wanted.layers_of(recipe)
    run, front = Run(folder, root), recipe.front
    return network.train(
        run, corpus, source, layers, recipe.dropout, spec, front=front, progress=progress
    )
