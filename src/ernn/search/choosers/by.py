"""The names of the ways to choose, apart from the ways: a command's help needs no more."""

from enum import StrEnum


class By(StrEnum):
    greedy = "greedy"
    random = "random"
    tpe = "tpe"
    nsga2 = "nsga2"
    policy = "policy"
    relaxed = "relaxed"
    supernet = "supernet"
    alike = "alike"
