"""Write the generated pages of docs/reference; with --check, fail where one is stale.

cli.md is the program's help, python.md the package's docstrings.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from python_page import page as python_page

HEADER = """<!-- Generated from the help by docs/make_reference.py (`make reference`). -->

"""


def cli_page() -> str:
    """The page as Markdown."""
    os.environ["NO_COLOR"] = "1"
    import typer
    from typer.cli import get_docs_for_click

    from ernn.cli.app import app

    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="ernn", obj={"TYPER_RICH_MARKUP_MODE": "markdown"})
    text = get_docs_for_click(obj=command, ctx=context, name="ernn", title="The command `ernn`")
    return HEADER + text.replace("[bold]", "**").replace("[/]", "**").strip() + "\n"


FOLDER = Path(__file__).parent / "reference"
PAGES: Mapping[Path, Callable[[], str]] = {
    FOLDER / "cli.md": cli_page,
    FOLDER / "python.md": python_page,
}


def main() -> int:
    """0 where all pages are current, or were written."""
    if "--check" not in sys.argv:
        for path, make in PAGES.items():
            path.write_text(make(), encoding="utf-8")
        return 0
    stale = [path for path in PAGES if not is_current(path)]
    for path in stale:
        print(f"{path} is not what the program says: run `make reference`", file=sys.stderr)
    return int(bool(stale))


def is_current(path: Path) -> bool:
    """Whether a page is there and as it would be written."""
    return path.exists() and path.read_text(encoding="utf-8") == PAGES[path]()


if __name__ == "__main__":
    sys.exit(main())
