"""Write docs/reference/cli.md from the program's help; with --check, fail where it is stale."""

import os
import sys
from pathlib import Path

PAGE = Path(__file__).parent / "reference" / "cli.md"
HEADER = """<!-- Generated from the help by docs/make_reference.py (`make reference`). -->

"""


def reference() -> str:
    """The page as Markdown."""
    os.environ["NO_COLOR"] = "1"
    import typer
    from typer.cli import get_docs_for_click

    from ernn.cli.app import app

    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="ernn", obj={"TYPER_RICH_MARKUP_MODE": "markdown"})
    text = get_docs_for_click(obj=command, ctx=context, name="ernn", title="The command `ernn`")
    return HEADER + text.replace("[bold]", "**").replace("[/]", "**").strip() + "\n"


def main() -> int:
    """0 where the page is current, or was written."""
    text = reference()
    if "--check" not in sys.argv:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        print(f"{PAGE} is not what the program's help says: run `make reference`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
