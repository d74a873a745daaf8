# SPDX-License-Identifier: GPL-2.0-only
"""The whole of a benchmark: device, mappings, checks and runs in their order."""

import os
import sys
import time
from contextlib import contextmanager

from . import arms, cipher, devices, fragment, held, measure, report
from .check import cross_read
from .mapping import Mapping, Table, target_version
from .system import BenchError, Resources, kernel_log, run


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
        self.fragmented = None
        self.cipher_costs = {}
        # A clock that counts instructions cannot tell how long a person will wait.
        self.progress = Progress(
            len(setups) * (len(loads) + 1), show_time=options.clock == "wall"
        )

    def run(self):
        self.arms, remarks = arms.choose(self.options.arms, self.options.targets)
        if self.options.floor and arms.ARMS["linear"] not in self.arms:
            self.arms.append(arms.ARMS["linear"])
        targets = {arm.target: target_version(arm.target) for arm in self.arms}
        for each in remarks:
            say(each)
        if self.options.null:
            self._check_on_ram()
        device = self.resources.open(self._device())
        self.context = self._describe(device, targets)
        if self.options.floor:
            self._measure_ciphers()
        if self.options.fragment:
            self.fragmented = self.resources.open(fragment.Fragmented())
            say(self.fragmented.evidence())
        for setup in self.setups:
            self._guarded(setup, self._one_setup, setup, device)

    def _describe(self, device, targets):
        """What is the same for all rows of this run."""
        return {
            "release": os.uname().release,
            "device": device.kind,
            "device_name": device.name,
            "device_mib": device.size // devices.MIB,
            "rotational": devices.rotational(device.path),
            "mappings": self.options.mappings,
            "memory": "fragmented" if self.options.fragment else "as it was",
            "init_on_alloc": init_on_alloc(),
            "rounds": self.options.rounds,
            "seconds": self.options.seconds,
            "cpus": os.cpu_count(),
            "machine": machine(),
            "arms": ", ".join(arm.name for arm in self.arms),
            "targets": ", ".join(f"{name} {version}" for name, version in targets.items()),
            "fio": run(["fio", "--version"]).out.strip(),
            "clock": self.options.clock,
            "command": self.options.command,
            "source": os.environ.get("DCB_SOURCE") or None,
        }

    def _device(self):
        if self.options.device:
            return devices.GivenDevice(self.options.device, self.options.destroy_data)
        if self.options.null:
            return devices.NullBlock(self.options.null)
        return devices.ram_device(self.options.ram)

    def _check_on_ram(self):
        device = self.resources.open(devices.ram_device(self.options.null))
        for setup in list(self.setups):
            if not self._guarded(setup, self._check_setup, setup, device):
                self.setups.remove(setup)
        self.resources.close(device)

    def _check_setup(self, setup, device):
        with self._mappings(setup, device) as group:
            self._cross_read(setup, group)

    def _one_setup(self, setup, device):
        with self._mappings(setup, device) as group:
            if device.keeps_data:
                self._cross_read(setup, group)
            for load in self.loads:
                self._guarded(load, self._one_load, setup, load, group)

    def _one_load(self, setup, load, group):
        self.progress.step(f"{setup}, {load}")
        paths = {name: [each.path for each in mappings] for name, mappings in group.items()}
        if self.fragmented:
            self.fragmented.start()
        outcome = measure.measure(paths, load, self.options.rounds, self.options.seconds)
        more = self._write_limits(setup)
        if self.options.floor:
            more.update(report.overhead(outcome, self.cipher_costs[_cipher_key(setup, load)]))
        if self.options.memory and load.writes:
            memory = self._memory(load, group["bulk"][0])
            if memory:
                more["bulk_memory"] = memory
        if self.fragmented:
            more["fragment"] = self.fragmented.found()
            say(self.fragmented.evidence())
        self.records.append(report.record(setup, load, outcome, {**more, **self.context}))

    def _measure_ciphers(self):
        """Before there is any load, and while there still are large pieces of memory."""
        for setup in self.setups:
            for load in self.loads:
                key = _cipher_key(setup, load)
                if key not in self.cipher_costs:
                    self.cipher_costs[key] = cipher.cost(*key)

    def _memory(self, load, like):
        """Of a mapping made for this, so that it has a state of rest."""
        mapping = self.resources.open(Mapping(like.arm, like.table, "memory"))
        try:
            return held.measure(mapping, load, self.options.seconds)
        except held.NoStatistics as reason:
            say(f"the memory of writes is not measured: {reason}")
            self.options.memory = False
            return None
        finally:
            self.resources.close(mapping)

    def _cross_read(self, setup, group):
        """Every arm against the first; of several mappings, each with its counterparts."""
        self.progress.step(f"{setup}: each reads what the other wrote")
        judge, *others = [mappings for name, mappings in group.items() if name != "linear"]
        block = max(setup.sector_size, devices.logical_block_size(judge[0].table.device))
        for other in others:
            for one, two in zip(judge, other):
                cross_read(one, two, one.table.sectors * 512, block)

    @contextmanager
    def _mappings(self, setup, device):
        """The mappings of every arm, by its name. Several share the device in equal parts."""
        tables = self._tables(setup, device)
        limits = [
            arms.Parameter(module, "max_write_size", setup.max_write)
            for module in self._limited_modules(setup)
        ]
        group = {
            arm.name: [Mapping(arm, table, number) for number, table in enumerate(tables)]
            for arm in self.arms
        }
        held_open = [*limits, *(each for mappings in group.values() for each in mappings)]
        try:
            for each in held_open:
                self.resources.open(each)
            yield group
        finally:
            for each in reversed(held_open):
                self.resources.close(each)

    def _tables(self, setup, device):
        key = setup.cipher.new_key()
        count = self.options.mappings
        sectors = device.size // count // devices.MIB * (devices.MIB // 512)
        if sectors * 512 < 16 * devices.MIB:
            raise BenchError(f"{device.name} is too small for {count} mappings of 16 MiB")
        return [
            Table(setup.cipher.spec, key, device.path, number * sectors, sectors, setup.options())
            for number in range(count)
        ]

    def _limited_modules(self, setup):
        if setup.max_write is None:
            return []
        return [
            module for module in ("dm_crypt", arms.MODULE)
            if os.path.exists(arms.parameter_path(module, "max_write_size"))
        ]

    def _write_limits(self, setup):
        """What the two modules were told, None where they do as they do by themselves."""
        limited = self._limited_modules(setup)
        return {
            "max_write_size": setup.max_write if arms.MODULE in limited else None,
            "stock_max_write_size": setup.max_write if "dm_crypt" in limited else None,
        }

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


def _cipher_key(setup, load):
    return setup.cipher, setup.sector_size, load.writes


def machine():
    """What it all ran on: bench-vm says it of the host, else this machine's processor."""
    if os.environ.get("DCB_MACHINE"):
        return os.environ["DCB_MACHINE"]
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return "unknown"


def init_on_alloc():
    """Whether the kernel zeroes pages as it hands them out; None when its log does not say."""
    for line in kernel_log():
        if "mem auto-init:" in line:
            return "heap alloc:on" in line
    return None
