"""The page docs/reference/python.md: what `import ernn` offers, from its docstrings and signatures.

Sources are read, not run.  A docstring is paragraphs; one whose lines begin with `name: ` is a list
of parameters, and one that begins with `>>>` an example.  Fields have their text below them.
"""

import ast
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import ernn

HEADER = """<!-- Generated from the docstrings by docs/make_reference.py (`make reference`). -->

# The package `ernn`

What `import ernn` offers. In signatures an `Array` is a `numpy.ndarray`, and `Utterances` a list of
them, (time, inputs) each; lists and torch tensors do as well.

"""
RESULTS = {"Error": "ernn.api", "Built": "ernn.api", "Proof": "ernn.verify.prove"}
"""What the names of the face give, and nobody makes."""
WIDTH = 100
Definition = ast.ClassDef | ast.FunctionDef


def page() -> str:
    """The page as Markdown."""
    names = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`.*?) \|", str(ernn.__doc__), re.M)))
    assert sorted(names) == ernn.__all__, "the table in ernn/__init__.py has every name once"
    _, told = str(ernn.__doc__).split("\n\n", 1)
    parts = [text_of(told)]
    parts += [section(name, definition(ernn._FROM[name], name)) for name in names]
    parts += [section(name, definition(module, name)) for name, module in RESULTS.items()]
    return HEADER + "\n\n".join(parts) + "\n"


def definition(module: str, name: str) -> Definition:
    """A class or a function in a module's source."""
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None
    body = ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom) and name in (alias.name for alias in node.names):
            return definition(str(node.module), name)
    raise LookupError(f"{module} has no {name}")


def section(name: str, node: Definition) -> str:
    """A name of the face, with its methods."""
    if isinstance(node, ast.FunctionDef):
        return f"## {name}\n\n{function(node)}"
    parts = [f"## {name}", text_of(ast.get_docstring(node) or ""), "\n".join(fields(node))]
    for one in node.body:
        if isinstance(one, ast.FunctionDef) and one.name[0] != "_" and ast.get_docstring(one):
            parts.append(f"### {name}.{one.name}\n\n{function(one)}")
    return "\n\n".join(part for part in parts if part)


def function(node: ast.FunctionDef) -> str:
    """Signature and text; of a property, the type and the text."""
    text = text_of(ast.get_docstring(node) or "")
    kinds = [ast.unparse(one) for one in node.decorator_list]
    if any(kind in ("property", "cached_property") for kind in kinds):
        return f"*Property*, `{annotation(node.returns)}`. {text}"
    return f"```python\n{signature(node)}\n```\n\n{text}"


def signature(node: ast.FunctionDef) -> str:
    """Without `self`; one parameter a line where it is long."""
    given = [one for one in node.args.args if one.arg not in ("self", "cls")]
    defaults = [None] * (len(given) - len(node.args.defaults)) + list(node.args.defaults)
    parts = [parameter(*pair) for pair in zip(given, defaults, strict=True)]
    if node.args.kwonlyargs:
        pairs = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        parts += ["*", *(parameter(*pair) for pair in pairs)]
    result = f" -> {annotation(node.returns)}"
    line = f"{node.name}({', '.join(parts)}){result}"
    if len(line) <= WIDTH:
        return line
    return f"{node.name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){result}"


def made(default: ast.expr) -> str:
    """A field's default as it is written; of a factory, its call."""
    options = default.keywords if isinstance(default, ast.Call) else []
    factories = (one.value for one in options if one.arg == "default_factory")
    return next((f"{ast.unparse(one)}()" for one in factories), ast.unparse(default))


def parameter(given: ast.arg, default: ast.expr | None) -> str:
    written = "" if default is None else f" = {ast.unparse(default)}".replace("'", '"')
    return f"{given.arg}: {annotation(given.annotation)}{written}"


def annotation(node: ast.expr | None) -> str:
    """A type as written, without the quotes of one that is not imported yet."""
    return "" if node is None else re.sub(r"""['"]""", "", ast.unparse(node))


def fields(node: ast.ClassDef) -> Iterator[str]:
    """A line a field of a dataclass: type, default, text."""
    for one, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            default = "" if one.value is None else f", by default `{made(one.value)}`"
            has_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            text = f": {joined(str(after.value.value))}" if has_text else ""  # type: ignore[union-attr]
            yield f"- **{one.target.id}** (`{annotation(one.annotation)}`{default}){text}"


def text_of(docstring: str) -> str:
    """A docstring as Markdown."""
    paragraphs = map(paragraph, re.split(r"\n\s*\n", docstring.strip("\n")))
    return "\n\n".join(paragraphs).replace("\n```\n\n```python\n", "\n\n")


def paragraph(text: str) -> str:
    if text.startswith(">>>"):
        return f"```pycon\n{text}\n```"
    if text.startswith("    "):
        return f"```python\n{re.sub('^    ', '', text, flags=re.M)}\n```"
    if text.startswith("|"):
        return text
    if re.match(r"\w+: ", text):
        lines = re.split(r"\n(?=\S)", text)
        return "\n".join(re.sub(r"^(\w+): ", r"- **\1**: ", joined(line)) for line in lines)
    return joined(text)


def joined(text: str) -> str:
    """On one line, pages of docs/ as links."""
    return re.sub(r"docs/([\w/-]+\.md)", r"[\1](../\1)", " ".join(text.split()))
