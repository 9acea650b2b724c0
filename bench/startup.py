"""The start of the command line: its help, next to a Python program that only imports click.

With a revision to compare with, its code takes part in each round. Medians of the wall clock and of the CPU, which
depends less on what else the machine does.
"""

import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.environment import Environment
from bench.report import Figure, Report
from bench.revisions import ROOT

ROUNDS = 20

MAX_SECONDS = 0.3
"""Target of `pricebook --help`."""

COMMANDS = ("--help", "lists --help", "import --help")


class Cost(NamedTuple):
    """The seconds that a program took, and those of CPU."""

    wall: float
    cpu: float


def run(environment: Environment, report: Report) -> None:
    programs = {"import click": ([sys.executable, "-c", "import click"], ROOT)}
    trees = {"": ROOT}
    if environment.baseline:
        trees[f" of {environment.baseline.name}"] = environment.baseline.tree
    for name, tree in trees.items():
        for arguments in COMMANDS:
            programs[f"pricebook {arguments}{name}"] = ([sys.executable, "-m", "cli", *arguments.split()], tree)
    costs: dict[str, list[Cost]] = defaultdict(list)
    for _ in range(1 + environment.repeats(ROUNDS)):  # the first round fills the caches
        for name, (command, tree) in programs.items():
            costs[name].append(_cost(command, tree))
    for name, measured in costs.items():
        target = MAX_SECONDS if name == "pricebook --help" else None
        report.add(Figure("startup", name, median(each.wall for each in measured[1:]), "s", target))
        report.add(Figure("startup", f"{name}: CPU", median(each.cpu for each in measured[1:]), "s"))
    bare = median(each.cpu for each in costs["import click"][1:])
    ours = median(each.cpu for each in costs["pricebook --help"][1:])
    report.add(Figure("startup", "pricebook --help / import click: CPU", ours / bare, ""))


def _cost(command: list[str], tree: Path) -> Cost:
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    before, began = os.times(), time.perf_counter()
    subprocess.run(command, cwd=tree, env=environment, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(wall, cpu)
