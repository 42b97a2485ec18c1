"""The one error a user's mistake raises: the command line prints it as a single line, never a
traceback.
"""

from typing import Any


class UserError(ValueError):
    """A rule was broken by input; the message names the rule, the value and what to do."""


def require(value: Any, kind: Any, message: str) -> None:
    """UserError, with what was given after `message`, where a value is not of a kind."""
    if not isinstance(value, kind):
        given = value.__name__ if isinstance(value, type) else type(value).__name__
        raise UserError(f"{message}, not {'the class ' * isinstance(value, type)}{given}")
