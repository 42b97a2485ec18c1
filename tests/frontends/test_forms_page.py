"""The table of forms in the docs is the one that is tested."""

from tests.frontends.forms_page import PAGE, page


def test_page() -> None:
    said = "python -m tests.frontends.forms_page"
    assert PAGE.read_text(encoding="utf-8") == page(), f"write it anew: {said}"
