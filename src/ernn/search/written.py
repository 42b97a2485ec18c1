"""Sizes and lists of numbers, as people write them."""

import re

from ernn.errors import UserError

UNITS = {"": 1, "B": 1, "kB": 1000, "MB": 1000**2, "KiB": 1024, "MiB": 1024**2}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


def parse_bytes(text: str) -> float:
    """ "40kB", "1.5 MiB" or "40000"; UserError for anything else."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or found[2] not in UNITS or float(found[1]) == 0:
        raise UserError(
            f'a size is written as "40kB" or "1.5MiB" ({", ".join(list(UNITS)[1:])}), not {text!r}'
        )
    return float(found[1]) * UNITS[found[2]]


def numbers(text: str) -> tuple[int, ...]:
    """From a list such as "64,128"."""
    try:
        return tuple(int(one) for one in text.split(","))
    except ValueError:
        raise UserError(f'a list of numbers is written as "64,128", not {text!r}') from None


def shares(text: str) -> tuple[float, ...]:
    """From a list such as "1,0.75"."""
    try:
        return tuple(float(one) for one in text.split(","))
    except ValueError:
        raise UserError(f'a list of shares is written as "1,0.75,0.5", not {text!r}') from None
