# SPDX-License-Identifier: GPL-2.0
"""Writers and readers that keep a mapping busy and look at what they read."""

import os
import random
import threading

import blockdev
import tap

_MIB = 1 << 20
_BLOB = os.urandom(2 * _MIB)


class Load:
    """Writers and readers on a mapping's own parts, verifying, until told to stop.

    A thread ends with its first error, unless that is one of those tolerated.
    """

    def __init__(self, test, path, count=4, part=_MIB, tolerated=()):
        self.test, self.path, self.part, self.tolerated = test, path, part, tolerated
        self.stop = threading.Event()
        self.rounds = [0] * count
        self.refused = [0] * count
        self.errors = [None] * count
        self.running = [threading.Thread(target=self._work, args=(n,), daemon=True)
                        for n in range(count)]

    def _work(self, number):
        rng = random.Random(number)
        try:
            with blockdev.Direct(self.path) as device:
                while not self.stop.is_set():
                    self._once(number, device, rng)
        except Exception as error:
            self.errors[number] = error

    def _once(self, number, device, rng):
        size = rng.choice((4096, 65536, 524288))
        source = rng.randrange(0, _MIB)
        at = number * self.part + rng.randrange(0, self.part - size) // 4096 * 4096
        try:
            device.write(at, _BLOB[source:source + size])
            data = device.read(at, size)
        except OSError as error:
            if error.errno not in self.tolerated:
                raise
            self.refused[number] += 1
            return
        if data != _BLOB[source:source + size]:
            raise AssertionError(f"wrong data at {at}, {size} bytes")
        self.rounds[number] += 1

    def __enter__(self):
        for thread in self.running:
            thread.start()
        return self

    def progress(self, rounds=1):
        """Wait until each thread has done so many rounds more."""
        before = list(self.rounds)
        ok = tap.poll(lambda: all(now >= old + rounds or error for now, old, error
                                  in zip(self.rounds, before, self.errors)), timeout=60)
        self.test.require(ok, f"I/O makes no progress: {before} {self.rounds}")

    def __exit__(self, *_exc):
        self.stop.set()
        for thread in self.running:
            thread.join(60)
        self.test.check(not any(thread.is_alive() for thread in self.running), "threads ended")
        for error in filter(None, self.errors):
            self.test.fail(f"in a thread: {error!r}")
        self.test.check(all(self.rounds), f"every thread did something: {self.rounds}")
