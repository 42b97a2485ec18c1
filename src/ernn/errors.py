"""The one error a user's mistake raises: the command line prints it as a single line, never a
traceback.
"""


class UserError(ValueError):
    """A rule was broken by input; the message names the rule, the value and what to do."""
