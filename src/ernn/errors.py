"""The one error a user's mistake raises: the command line prints it as a single line, never a
traceback.  A part of the package that was not installed is such a mistake too.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import requires
from importlib.util import find_spec
from typing import Any


class UserError(ValueError):
    """A rule was broken by input; the message names the rule, the value and what to do.

    It is one line, also where the value, a name in a file, has several.
    """

    def __str__(self) -> str:
        return super().__str__().replace("\n", "\\n")


class PrecisionWarning(UserWarning):
    """Integers are further from the floats than they may be, or a value was clipped."""


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


def require_extras(*names: str) -> None:
    """UserError that says what to install where a package of these extras is missing."""
    for name in names:
        for package in extras()[name]:
            if find_spec(package.replace("-", "_")) is None:
                raise _missing(package, name)


def _missing(package: str, extra: str) -> UserError:
    return UserError(
        f"{package} is not installed: pip install 'ernn[{extra}]' (`ernn doctor` lists what is "
        "there)"
    )


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
                raise _missing(module, extra) from None
        raise


def one_line(said: BaseException | str) -> str:
    """What an exception says, or a text, in one line that is not too long."""
    said = " ".join(str(said).split()) or type(said).__name__
    return said if len(said) <= 200 else f"{said[:200]} ..."
