"""Every way to choose, by its name; what a way needs is imported when it is asked for."""

from enum import StrEnum

from ernn.search.choosers.chooser import Chooser, Setting
from ernn.search.choosers.greedy import Greedy


class By(StrEnum):
    greedy = "greedy"
    random = "random"
    tpe = "tpe"
    nsga2 = "nsga2"


def chooser(by: By, setting: Setting) -> Chooser:
    """A fresh chooser."""
    match by:
        case By.greedy:
            return Greedy(setting)
        case By.random | By.tpe | By.nsga2:
            from ernn.search.choosers.sampled import Sampled

            return Sampled(setting, by.value)
