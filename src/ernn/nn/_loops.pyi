def names() -> tuple[str, ...]:
    """The variants that run here, the slowest first; the last one is chosen."""

def choose(name: str) -> None:
    """Use another one."""

def run(
    wide: bool,
    back: bool,
    tables: int,
    stage: int,
    last: int,
    first: int,
    behind: int,
    threads: int,
) -> None:
    """Runs stages from `stage` on before `last`, in frames from `first` on before `behind`.

    tables: the address of a `struct pass` (c/loops.h). wide: double precision. back: the way back.
    """

def move(wide: bool, table: int, to: int, of: int) -> None:
    """Copies numbers from address `of` to address `to`, as the `struct move` at `table` says."""
