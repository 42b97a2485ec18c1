"""Every way to choose, by its name; what a way needs is imported when it is asked for."""

from ernn.search.choosers.by import By
from ernn.search.choosers.chooser import Chooser, Setting
from ernn.search.choosers.greedy import Greedy


def chooser(by: By, setting: Setting) -> Chooser:
    """A fresh chooser."""
    match by:
        case By.greedy:
            return Greedy(setting)
        case By.random | By.tpe | By.nsga2:
            from ernn.search.choosers.sampled import Sampled

            return Sampled(setting, by.value)
        case By.policy:
            from ernn.search.choosers.policy import Policy

            return Policy(setting)
        case By.relaxed:
            from ernn.search.choosers.relaxed import Relaxed

            return Relaxed(setting)
        case By.supernet:
            from ernn.search.choosers.supernet import SuperNet

            return SuperNet(setting)
        case By.alike:
            from ernn.search.choosers.alike import Alike

            return Alike(setting)
