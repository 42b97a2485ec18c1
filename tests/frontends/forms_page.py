"""docs/reference/forms.md, of the forms that are tested; python -m tests.frontends.forms_page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.frontends import onnx_graphs, torch_modules

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "forms.md"
HEAD = """# Forms of networks that are imported

Made from the tests (`tests/frontends`), each of which imports one small network of the form,
compares it with the original (torch, ONNX Runtime) on random input, and looks at what was left to
the host. Everything else is the accelerator's. A *plain* network has nothing on the host: its
engine takes the user's frames and gives the user's outputs. One with nothing named but not plain
needs views only, such as a later frame beside this one, states handed over, or several outputs.
"""


def page() -> str:
    """The page's text."""
    parts = [HEAD, _table("PyTorch", torch_modules.FORMS), _table("ONNX", onnx_graphs.FORMS)]
    return "\n".join(parts)


def _table(title: str, forms: Mapping[str, Any]) -> str:
    rows = [
        f"| {name} | {', '.join(form.before) or '-'} | {', '.join(form.after) or '-'} | "
        f"{'yes' if form.plain else 'no'} |"
        for name, form in forms.items()
    ]
    head = ["| form | on the host, before | on the host, after | plain |", "|---|---|---|---|"]
    return "\n".join([f"## {title}: {len(rows)} forms", "", *head, *rows, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
