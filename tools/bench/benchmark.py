# SPDX-License-Identifier: GPL-2.0-only
"""The whole of a benchmark: device, mappings, checks and runs in their order."""

import os
import sys
import time
from contextlib import contextmanager

from . import devices, measure, report
from .check import cross_read
from .mapping import Mapping, Table, target_version
from .system import BenchError, Resources, run


class Progress:
    """One line on stderr for each step, with the time still to go."""

    def __init__(self, steps, show_time):
        self.steps = steps
        self.done = 0
        self.show_time = show_time
        self.start = time.monotonic()

    def step(self, what):
        left = ""
        if self.show_time and self.done:
            seconds = (time.monotonic() - self.start) / self.done * (self.steps - self.done)
            left = f", about {int(seconds // 60)}:{int(seconds % 60):02} left"
        self.done += 1
        say(f"[{self.done}/{self.steps}] {what}{left}")


def say(text):
    print(f"crypt-bulk-bench: {text}", file=sys.stderr, flush=True)


class Benchmark:
    def __init__(self, options, setups, loads):
        self.options = options
        self.setups = setups
        self.loads = loads
        self.resources = Resources()
        self.records = []
        self.failures = 0
        # A clock that counts instructions cannot tell how long a person will wait.
        self.progress = Progress(
            len(setups) * (len(loads) + 1), show_time=options.clock == "wall"
        )

    def run(self):
        versions = [target_version(name) for name in self.options.targets]
        if self.options.null:
            self._check_on_ram()
        device = self.resources.open(self._device())
        self.context = {
            "release": os.uname().release,
            "device": device.kind,
            "device_name": device.name,
            "device_mib": device.size // devices.MIB,
            "rounds": self.options.rounds,
            "seconds": self.options.seconds,
            "cpus": os.cpu_count(),
            "targets": ", ".join(f"{n} {v}" for n, v in zip(self.options.targets, versions)),
            "fio": run(["fio", "--version"]).out.strip(),
            "clock": self.options.clock,
        }
        for setup in self.setups:
            self._guarded(setup, self._one_setup, setup, device)

    def _device(self):
        if self.options.device:
            return devices.GivenDevice(self.options.device, self.options.destroy_data)
        if self.options.null:
            return devices.NullBlock(self.options.ram)
        return devices.ram_device(self.options.ram)

    def _check_on_ram(self):
        device = self.resources.open(devices.ram_device(self.options.ram))
        for setup in list(self.setups):
            if not self._guarded(setup, self._check_setup, setup, device):
                self.setups.remove(setup)
        self.resources.close(device)

    def _check_setup(self, setup, device):
        with self._pair(setup, device) as pair:
            self._cross_read(setup, pair, device)

    def _one_setup(self, setup, device):
        with self._pair(setup, device) as pair:
            if device.keeps_data:
                self._cross_read(setup, pair, device)
            for load in self.loads:
                self._guarded(load, self._one_load, setup, load, pair)

    def _one_load(self, setup, load, pair):
        self.progress.step(f"{setup}, {load}")
        outcome = measure.measure(*pair, load, self.options.rounds, self.options.seconds)
        self.records.append(report.record(setup, load, outcome, self.context))

    def _cross_read(self, setup, pair, device):
        self.progress.step(f"{setup}: each reads what the other wrote")
        block = max(setup.sector_size, devices.logical_block_size(pair[0].path))
        cross_read(*pair, device.size, block)

    @contextmanager
    def _pair(self, setup, device):
        key = setup.cipher.new_key()
        sectors = device.size // 512
        table = Table(setup.cipher.spec, key, device.path, sectors, setup.options())
        pair = [Mapping(target, table, arm) for target, arm in zip(self.options.targets, "ab")]
        try:
            for mapping in pair:
                self.resources.open(mapping)
            yield pair
        finally:
            for mapping in pair:
                self.resources.close(mapping)

    def _guarded(self, what, function, *arguments):
        """True when it went well. With --keep-going a failure is reported and counted only."""
        try:
            function(*arguments)
            return True
        except BenchError as error:
            if not self.options.keep_going:
                raise BenchError(f"{what}: {error}") from error
            say(f"FAILED: {what}: {error}")
            self.failures += 1
            return False
