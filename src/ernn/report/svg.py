"""A matplotlib figure as inline SVG in the page's colours that shares no id with another figure."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

# Stand-ins that matplotlib draws with; the page's style sheet gives them their colour, light or
# dark.
INK, SOFT, RULE, PAPER = "#010203", "#040506", "#070809", "#0a0b0c"
_VARIABLES = {INK: "var(--ink)", SOFT: "var(--soft)", RULE: "var(--rule)", PAPER: "var(--paper)"}
_REFERENCE = re.compile(r"#(?=[A-Za-z])")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # XML has no way to write these

STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "ernn",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.minor.pad": 5,  # so that numbers of shorter ticks stand on the line of the others
    "ytick.minor.pad": 5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": RULE,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the page's style, without a display; the user's matplotlib settings stay."""
    import matplotlib

    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # The reader's browser has the glyphs that the font used here lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def to_svg(figure: Any, name: str, label: str) -> str:
    """`figure` as an `<svg>` element: ids prefixed by `name`, `label` for screen
    readers, no namespace, no metadata.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(_CONTROL.sub("", buffer.getvalue()))
    _drop(root, {"metadata", "style"})
    for element in root.iter():
        _adapt(element, name)
    for size in ("width", "height", "version"):
        root.attrib.pop(size, None)
    root.attrib |= {"role": "img", "aria-label": label}
    return ElementTree.tostring(root, encoding="unicode")


def standalone(svg: str) -> str:
    """What `to_svg` gives, as a file of its own in the page's light colours."""
    colours = (
        "--ink: #1b2430; --soft: #566273; --rule: #d9dee5; --paper: #ffffff; background: #ffffff"
    )
    head, rest = svg.split(">", 1)
    named = head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return f"{named}><style>svg {{ {colours} }}</style>{rest}\n"


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _drop(root: ElementTree.Element, tags: set[str]) -> None:
    for parent in root.iter():
        for child in [c for c in parent if _local(c.tag) in tags]:
            parent.remove(child)


def _adapt(element: ElementTree.Element, name: str) -> None:
    element.tag = _local(element.tag)
    attributes = {_local(key): value for key, value in element.attrib.items()}
    if "id" in attributes:
        attributes["id"] = f"{name}-{attributes['id']}"
    for key in ("href", "clip-path"):
        if key in attributes and not attributes[key].startswith("data:"):
            attributes[key] = _REFERENCE.sub(f"#{name}-", attributes[key], count=1)
    if "style" in attributes:
        attributes["style"] = _coloured(attributes["style"])
    element.attrib.clear()
    element.attrib |= attributes


def _coloured(style: str) -> str:
    for stand_in, variable in _VARIABLES.items():
        style = style.replace(stand_in, variable)
    return style
