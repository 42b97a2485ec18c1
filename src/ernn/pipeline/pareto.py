"""The general search over a folder: trials, their table, and a plot of the Pareto front."""

from dataclasses import asdict
from io import StringIO
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from ernn.errors import UserError
from ernn.files import write_atomic, write_json
from ernn.pipeline.trials import TrialJob
from ernn.search.pool import Here, RayPool
from ernn.search.study import OBJECTIVES, Sampler, Space, pareto, search

PICTURE, TABLE = "pareto.svg", "search.json"
AXES = {"kbit": "on chip: weights, constants, states (kbit)", "cycles": "predicted cycles a frame"}


def run(
    job: TrialJob, space: Space, trials: int, sampler: Sampler, workers: int, address: str | None
) -> dict[str, Any]:
    """Search with `workers` at a time: Ray's at `address` or here; one alone is this process."""
    job.check()
    pool = Here() if workers == 1 and address is None else RayPool(workers, address)
    try:
        study = search(job.folder, space, job, trials, pool, sampler, job.seed)
    finally:
        if isinstance(pool, RayPool):
            pool.close()
    asked = {
        name: value if isinstance(value, int | float | None) else str(value)
        for name, value in asdict(job).items()
        if name != "folder"  # where the table lies, which may be moved
    }
    found = {"asked": {**asked, "sampler": sampler, "space": asdict(space)}, **summary(study)}
    write_json(job.folder / TABLE, found)
    _require_finished(found["trials"])
    write_atomic(
        job.folder / PICTURE, picture(study, f"{job.corpus} on {job.device}, seed {job.seed}")
    )
    return found


def _require_finished(trials: list[dict[str, Any]]) -> None:
    """UserError with the first reason where no trial came to its end."""
    if not any(trial["state"] == "complete" for trial in trials):
        reasons = [reason for trial in trials for reason in trial["said"].values()]
        raise UserError(
            f"none of {len(trials)} trials came to its end; the first: "
            f"{(reasons or ['no reason said'])[0]}"
        )


def summary(study: optuna.Study) -> dict[str, Any]:
    """Every trial that ended, and the numbers of those that no other beats."""
    ended = (one for one in study.get_trials(deepcopy=False) if one.state.is_finished())
    return {
        "trials": [_row(trial) for trial in ended],
        "pareto": [trial.number for trial in pareto(study)],
    }


def _row(trial: FrozenTrial) -> dict[str, Any]:
    reached = dict(zip(OBJECTIVES, trial.values, strict=True)) if trial.values else {}
    said = {
        name: trial.user_attrs[name] for name in ("stopped", "error") if name in trial.user_attrs
    }
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        **trial.params,
        **reached,
        "said": said,
    }


def picture(study: optuna.Study, title: str) -> str:
    """SVG: errors over storage and over cycles; the Pareto front is filled, numbered and listed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    best = pareto(study)
    numbers = {trial.number for trial in best}
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    others = [trial for trial in finished if trial.number not in numbers]
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    figure.suptitle(
        f"{title}: {len(finished)} trials, {len(best)} networks that no other beats in all three",
        size=11,
    )
    grid = figure.add_gridspec(1, 3, width_ratios=(1, 1, 0.55))
    left = figure.add_subplot(grid[0])
    for axes, name in ((left, "kbit"), (figure.add_subplot(grid[1], sharey=left), "cycles")):
        _draw(axes, OBJECTIVES.index(name), best, others)
        axes.set_xlabel(AXES[name])
    left.set_ylabel("validation errors of the integer model (%)")
    key = figure.add_subplot(grid[2])
    key.axis("off")
    key.text(
        0,
        1,
        "\n".join(f"{n}  {_named(t)}" for n, t in enumerate(best, 1)),
        va="top",
        size=8,
        linespacing=1.5,
    )
    text = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ernn"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _draw(axes: Any, column: int, best: list[FrozenTrial], others: list[FrozenTrial]) -> None:
    axes.scatter(
        [t.values[column] for t in others],
        [t.values[0] for t in others],
        c="none",
        edgecolors="0.6",
    )
    axes.scatter(
        [t.values[column] for t in best], [t.values[0] for t in best], c="#1f5fa8", zorder=3
    )
    for number, trial in enumerate(best, 1):
        place = (trial.values[column], trial.values[0])
        axes.annotate(str(number), place, (5, 3), textcoords="offset points", size=8)
    axes.set_xscale("log")
    axes.grid(alpha=0.3, which="both")
    axes.margins(0.08)


def _named(trial: FrozenTrial) -> str:
    p = trial.params
    size = f"{p['layers']}×{p['cell'].upper()} {p['hidden']}"
    return f"{size}, block {p['block']}, {p['weight_bits']} bit"
