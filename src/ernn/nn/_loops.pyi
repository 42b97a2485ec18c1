def run(
    wide: bool, back: bool, tables: int, stage: int, last: int, first: int, behind: int
) -> None:
    """Runs a `struct pass` (c/loops.h) that lies at address `tables`: stages from `stage` on before
    `last`, in frames from `first` on before `behind`. wide: in double precision. back: the way back.
    """

def move(wide: bool, table: int, to: int, of: int) -> None:
    """Copies numbers from address `of` to address `to`, as the `struct move` at `table` says."""
