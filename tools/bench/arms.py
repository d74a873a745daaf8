# SPDX-License-Identifier: GPL-2.0-only
"""The arms of the comparison: what is measured in turn, and how its mappings are made."""

import os
from dataclasses import dataclass

from .system import BenchError, UsageError, load_module

MODULE = "dm_crypt_bulk"


@dataclass(frozen=True)
class Arm:
    """settings: parameters of crypt-bulk's module, while a mapping is being made."""

    name: str
    target: str
    settings: tuple = ()

    @property
    def encrypts(self):
        return self.target != "linear"


ARMS = {
    arm.name: arm
    for arm in (
        Arm("stock", "crypt"),
        Arm("bulk", "crypt-bulk"),
        Arm("single", "crypt-bulk", (("single_page", "Y"),)),
        Arm("norecycle", "crypt-bulk", (("recycle", "N"),)),
        Arm("linear", "linear"),
    )
}

# Every measurement has these; the others are compared with "bulk".
NEEDED = ("stock", "bulk")
DEFAULT = ("stock", "bulk", "single")


def lacks(arm):
    """The first of the arm's settings that the loaded module does not have, or None."""
    for name, _ in arm.settings:
        if not os.path.exists(parameter_path(MODULE, name)):
            return name
    return None


def choose(names, targets):
    """The arms of these names (all of DEFAULT that the module has, for None), the first two with
    the given targets. Returns them and what there is to say about it."""
    wanted = DEFAULT if names is None else names
    for name in wanted:
        if name not in ARMS:
            raise UsageError(f'--arms: "{name}" is none of {", ".join(ARMS)}')
    if not set(NEEDED) <= set(wanted):
        raise UsageError(f"--arms must have {' and '.join(NEEDED)}")
    load_module("dm-crypt-bulk")
    chosen, remarks = [], []
    for arm in ARMS.values():
        if arm.name not in wanted:
            continue
        missing = lacks(arm)
        if missing and names is not None:
            raise BenchError(
                f"--arms: there is no {arm.name}: the module {MODULE} has no parameter {missing}"
            )
        if missing:
            remarks.append(
                f"without the arm {arm.name}: the module {MODULE} has no parameter {missing}"
            )
            continue
        if arm.name in NEEDED:
            arm = Arm(arm.name, targets[NEEDED.index(arm.name)])
        chosen.append(arm)
    return chosen, remarks


def parameter_path(module, name):
    return f"/sys/module/{module}/parameters/{name}"


class Parameter:
    """A parameter of a loaded module that has another value for a while; a resource."""

    def __init__(self, module, name, value):
        self.path = parameter_path(module, name)
        self.value = str(value)
        self.before = None

    def open(self):
        try:
            with open(self.path, encoding="ascii") as file:
                self.before = file.read().strip()
            self._write(self.value)
        except OSError as error:
            raise BenchError(f"cannot set {self.path} to {self.value}: {error}") from error

    def _write(self, value):
        with open(self.path, "w", encoding="ascii") as file:
            file.write(value)

    def close(self):
        if self.before is None:
            return []
        try:
            self._write(self.before)
        except OSError as error:
            return [f"{self.path} stays at {self.value}, it was {self.before}: {error}"]
        self.before = None
        return []
