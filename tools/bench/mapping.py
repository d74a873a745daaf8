# SPDX-License-Identifier: GPL-2.0-only
"""device-mapper mappings of the targets that are compared."""

import os
from dataclasses import dataclass

from .arms import MODULE, Parameter
from .devices import wait_for_node
from .system import BenchError, KernelLog, load_module, run


@dataclass(frozen=True)
class Table:
    """Everything in a table line but the target's name; all targets get the same object."""

    cipher: str
    key: str
    device: str
    start: int  # on the device, in sectors of 512 bytes as is the next
    sectors: int
    options: tuple

    def line(self, target):
        if target == "linear":
            return f"0 {self.sectors} linear {self.device} {self.start}"
        fields = [0, self.sectors, target, self.cipher, self.key, 0, self.device, self.start]
        if self.options:
            fields += [len(self.options), *self.options]
        return " ".join(map(str, fields))

    def __repr__(self):
        return f"Table({self.cipher}, key not shown, {self.device}, {self.options})"


class Mapping:
    """A resource, see system.Resources."""

    def __init__(self, arm, table, number):
        self.arm = arm
        self.target = arm.target
        self.table = table
        self.name = f"crypt-bulk-bench-{os.getpid()}-{arm.name}-{number}"
        self.path = f"/dev/mapper/{self.name}"

    def open(self):
        settings = [Parameter(MODULE, *each) for each in self.arm.settings]
        try:
            for each in settings:
                each.open()
            self._create()
        finally:
            problems = [text for each in reversed(settings) for text in each.close()]
        if problems:
            raise BenchError("; ".join(problems))

    def _create(self):
        log = KernelLog()
        try:
            # On stdin: a key among the arguments would be seen by everybody on the machine.
            line = self.table.line(self.target)
            result = run(["dmsetup", "create", self.name], line, check=False)
            if result.returncode:
                raise self._refusal(result, log.complaints())
        finally:
            log.close()
        # Without udev dmsetup makes the node, with it udev does; either may be late or fail.
        if not os.path.exists(self.path):
            run(["dmsetup", "mknodes", self.name])
            wait_for_node(self.path)

    def _refusal(self, result, complaints):
        table = self.table
        text = [f'target "{self.target}" refuses {table.cipher} {" ".join(table.options)}:']
        text += complaints or result.err.strip().splitlines()
        if any("llocat" in line for line in complaints):
            text.append("Is the cipher in this kernel? (see /proc/crypto; try modprobe)")
        return BenchError("\n    ".join(text))

    def close(self):
        if run(["dmsetup", "info", self.name], check=False).returncode:
            return []
        result = run(["dmsetup", "remove", "--retry", self.name], check=False)
        if result.returncode:
            return [f"mapping {self.name} stays: {result.err.strip()}"]
        return []


def target_version(name):
    """The target's version as dmsetup prints it; loads its module when need be."""
    version = find_target(name)
    if not version:
        load_module(f"dm-{name}")
        version = find_target(name)
    if version:
        return version
    if name == "crypt-bulk":
        raise BenchError(
            "this kernel has no target crypt-bulk.\n"
            "    Install the module from the source tree: make dkms-install\n"
            f"    and see that it loads (this kernel is {os.uname().release}): "
            "modprobe dm-crypt-bulk"
        )
    raise BenchError(f"this kernel has no device-mapper target {name} (module dm-{name})")


def find_target(name):
    for line in run(["dmsetup", "targets"]).out.splitlines():
        fields = line.split()
        if len(fields) == 2 and fields[0] == name:
            return fields[1].lstrip("v")
    return ""
