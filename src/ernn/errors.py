"""The one error a user's mistake raises: the command line prints it as a single line, never a
traceback.  A part of the package that was not installed is such a mistake too.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import requires
from typing import Any


class UserError(ValueError):
    """A rule was broken by input; the message names the rule, the value and what to do."""


def require(value: Any, kind: Any, message: str) -> None:
    """UserError, with what was given after `message`, where a value is not of a kind."""
    if not isinstance(value, kind):
        given = value.__name__ if isinstance(value, type) else type(value).__name__
        raise UserError(f"{message}, not {'the class ' * isinstance(value, type)}{given}")


@cache
def extras() -> dict[str, tuple[str, ...]]:
    """What each extra of this package installs, by the package's own description."""
    pairs = re.findall(
        r"^([\w.-]+).*extra == ['\"](\w+)['\"]$", "\n".join(requires("ernn") or ()), re.M
    )
    names = dict.fromkeys(extra for package, extra in pairs if package != "ernn")
    return {name: tuple(package for package, extra in pairs if extra == name) for name in names}


@contextmanager
def naming_extras() -> Iterator[None]:
    """UserError that says what to install where a module of an extra is missing inside.

    Also a decorator. A package's module has its name, with _ for -.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = str(error.name).partition(".")[0]
        for extra, packages in extras().items():
            if module in (package.replace("-", "_") for package in packages):
                raise UserError(
                    f"{module} is not installed: pip install 'ernn[{extra}]' (`ernn doctor` lists "
                    "what is there)"
                ) from None
        raise


def one_line(said: BaseException | str) -> str:
    """What an exception says, or a text, in one line that is not too long."""
    said = " ".join(str(said).split()) or type(said).__name__
    return said if len(said) <= 200 else f"{said[:200]} ..."
