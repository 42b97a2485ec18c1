"""Recordings divided between training, validation and test, and long ones cut into windows."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ernn.data.corpus import SPLITS, Split
from ernn.data.recordings import Per, Recording
from ernn.errors import UserError

SHARES = (0.65, 0.15, 0.20)
"""Of the recordings: training, validation, test."""


def divided(
    items: Sequence[Recording], kinds: Sequence[str], seed: int
) -> dict[Split, list[Recording]]:
    """Recordings by split: as they say themselves, else groups drawn by `seed`.

    kinds: of each recording, what every split should have its share of, such as its class.
    UserError where a split would be empty, or a group is in two.
    """
    given = any(item.split is not None for item in items)
    splits: list[Split] = [_named(item) for item in items] if given else _drawn(items, kinds, seed)
    _require_whole_groups(items, splits)
    found: dict[Split, list[Recording]] = {split: [] for split in SPLITS}
    for item, split in zip(items, splits, strict=True):
        found[split].append(item)
    if empty := [split for split in SPLITS if not found[split]]:
        raise UserError(f"split {empty[0]!r} is empty: `splits` must name each of {SPLITS}")
    return found


def _named(item: Recording) -> Split:
    found: list[Split] = [split for split in SPLITS if split == item.split]
    if not found:
        raise UserError(f"{item.id}: a split is one of {', '.join(SPLITS)}, not {item.split!r}")
    return found[0]


def _require_whole_groups(items: Sequence[Recording], splits: Sequence[Split]) -> None:
    places: dict[str, Split] = {}
    for item, split in zip(items, splits, strict=True):
        if places.setdefault(item.group, split) != split:
            raise UserError(
                f"group {item.group!r} is in {places[item.group]} and in {split}: what is learned "
                "would be tested"
            )


def _drawn(items: Sequence[Recording], kinds: Sequence[str], seed: int) -> list[Split]:
    """Groups in random order, each to the split that is furthest below its share of their kind."""
    kind_of = {item.group: kind for item, kind in zip(items, kinds, strict=True)}
    sizes = Counter(item.group for item in items)
    if len(sizes) < len(SPLITS):
        raise UserError(
            f"{len(sizes)} groups cannot be divided between training, validation and test: three "
            "are needed, or `splits`"
        )
    if max(Counter(kind_of.values()).values()) < len(SPLITS):
        kind_of = dict.fromkeys(kind_of, "")
    order = np.random.default_rng(seed).permutation(sorted(kind_of)).tolist()
    place: dict[str, int] = {}
    everywhere = np.zeros(len(SPLITS))
    for kind in sorted(set(kind_of.values())):
        groups = [group for group in order if kind_of[group] == kind]
        # One to each split first; a kind of too few groups goes where there is room.
        few = len(groups) < len(SPLITS)
        total = everywhere.copy() if few else np.zeros(len(SPLITS))
        for number, group in enumerate(groups):
            short = np.array(SHARES) * (total.sum() + sizes[group]) - total
            first = number if not few and number < len(SPLITS) else int(np.argmax(short))
            place[group] = first
            total[first] += sizes[group]
            everywhere[first] += sizes[group]
    return [SPLITS[place[item.group]] for item in items]


def windows(item: Recording, length: int, stride: int, per: Per) -> Iterator[Recording]:
    """Stretches of `length` frames, one every `stride`; a shorter recording stays whole.

    A target that has a value a frame is cut as well. A rest is left out.
    """
    if per == "string":
        raise UserError("a string of labels is of the whole recording: leave window out")
    for start in range(0, max(1, len(item.features) - length + 1), stride):
        cut = slice(start, start + length)
        target = item.target[cut] if per == "frame" else item.target
        yield replace(item, id=f"{item.id}@{start}", features=item.features[cut], target=target)
