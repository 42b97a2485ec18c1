"""The page of a comparison: whole, self-contained, every number with its
kind; the front and the spread.
"""

import re
import warnings
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from test_report_page import Page, words

from ernn.report.comparison import Comparison, Row, cells, front, markdown, page, picture, write
from ernn.report.record import KINDS
from ernn.report.series import Item

DENSE = Row("dense", "compact", 1.0, (10.0, 12.0), 80000, 6666, 200.0, 162.0)
ROWS = (
    Row("SRU", "compact", 4.0, (11.0, 14.0), 20000, 1700, 50.0, 181.0, 12.4),
    Row("pruned <b>", "sparsity", 4.0, (12.0, 12.6), 19992, 1600, None, None, 9.0),
    Row("binary", "quantization", 8.0, (20.0,), 8000, 6666, 100.5, 162.0, 9.0),
    Row("tensor train", "decomposition", 8.0, (21.0, 25.0), 8800, 6666, 400.0, 200.0, 9.0, True),
)
COMPARISON = Comparison(
    "Methods compared on digits", "digits", 750, "LFE5U-85F", 2, "prototype kernels", DENSE, ROWS,
    ("As many epochs as any other.",), (Item("seeds", "0, 1"),), "ernn compare digits",
    (Item("QRNN", "diverged"),), 3,
)  # fmt: skip


def test_the_page_is_well_formed_and_needs_nothing_else() -> None:
    text = page(COMPARISON)
    found = Page(text)
    ids = [e["attrs"]["id"] for e in found.elements if "id" in e["attrs"]]
    assert len(ids) == len(set(ids))
    targets = [
        e["attrs"][key]
        for e in found.elements
        for key in ("src", "href", "xlink:href")
        if key in e["attrs"]
    ]
    assert all(target[1:] in ids for target in targets)
    assert not re.search(r"https?:|//cdn|@import", text)
    assert not {"script", "link", "iframe", "object", "b"} & {e["tag"] for e in found.elements}
    shown = words(text)
    assert (
        "QRNN diverged" in shown
        and "Not there yet: 3 results" in shown
        and "As many epochs" in shown
    )
    assert "162 to 200 MHz" in shown


def test_every_number_has_its_kind_or_was_given() -> None:
    for text, inside in Page(page(COMPARISON)).texts:
        if not re.search(r"\d", text) or {"style", "title"} & {e["tag"] for e in inside}:
            continue
        kind = any(e["attrs"].get("data-kind") in KINDS for e in inside)
        assert kind or any(e["given"] for e in inside), (
            f"{text.strip()!r} does not say where it comes from"
        )


def test_a_row_in_words() -> None:
    sru, pruned, binary, train = (cells(row) for row in ROWS)
    assert sru == (
        *(
            "SRU",
            "compact",
            "12.50 ± 2.12",
            "11.00 to 14.00",
            "2",
            "2,500",
            "1,700",
            "50",
            "3,620,000",
            "12",
        ),
    )
    assert (
        pruned[-3:] == ("software", "", "9")
        and binary[2:5] == ("20.00", "", "1")
        and binary[7] == "100.5"
    )
    assert train[7:] == ("≈ 400", "500,000", "9")


def test_equal_errors_are_drawn_without_a_warning() -> None:
    for error in (100.0, 0.0):
        rows = tuple(replace(row, errors=(error,)) for row in ROWS)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert "binary" in picture(
                replace(COMPARISON, dense=replace(DENSE, errors=(error,)), rows=rows)
            )


def test_the_front_is_what_nothing_beats() -> None:
    assert [row.name for row in front(ROWS)] == ["binary", "pruned <b>"]
    same = replace(ROWS[1], name="as good")
    assert front([*ROWS, same]) == front(ROWS) and front([]) == []


def test_the_table_and_the_picture() -> None:
    text = markdown(COMPARISON, "here.svg")
    assert "](here.svg)" in text
    assert (
        text.index("## 4 times")
        < text.index("**pruned \\<b>**")
        < text.index("SRU")
        < text.index("## 8 times")
    )
    assert "- Failed: QRNN (diverged)" in text and "3 results are not there yet" in text
    drawn = picture(COMPARISON)
    assert (
        all(f">{family}<" in drawn for family in COMPARISON.families)
        and "dense, 10,000 bytes" in drawn
    )
    zero = replace(ROWS[0], errors=(0.0, 0.0))
    assert picture(replace(COMPARISON, rows=(zero,))).startswith("<svg")


def test_names_are_shown_as_they_are() -> None:
    """A bar would end the cell, a line the table."""
    row = replace(ROWS[0], name="a|b *c* [d](e)\nf`", family="`_x_")
    text = markdown(replace(COMPARISON, title="one\n# two", rows=(row,)), "here.svg")
    assert r"| **a\|b \*c\* \[d\](e) f\`** | \`\_x\_ |" in text
    assert text.startswith("# one # two\n")


def test_nothing_trained_yet_is_said() -> None:
    assert "no method has been trained yet" in words(page(replace(COMPARISON, rows=())))


def test_the_files_stand_by_themselves(tmp_path: Path) -> None:
    paths = list(write(tmp_path, "compare", COMPARISON))
    assert [path.name for path in paths] == ["compare.md", "compare.svg", "compare.html"]
    drawn = paths[1].read_text()
    assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
    used = set(re.findall(r"var\((--\w+)\)", drawn))
    assert used and all(f"{name}: #" in drawn for name in used)
