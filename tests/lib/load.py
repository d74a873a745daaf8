# SPDX-License-Identifier: GPL-2.0
"""Writers and readers that keep a mapping busy, and know what each block has to hold."""

import os
import random
import threading

import blockdev
import tap

_MIB = 1 << 20
_BLOB = os.urandom(2 * _MIB)
_BLOCK = 4096
_SECTOR = 512


class Load:
    """Threads that write to, and read from, parts of a mapping of their own, until told to stop.

    For each block there are the contents that it may have: that of the last write which was said to
    be done, and of those after it which failed, since parts of these may have arrived.  Whatever a
    thread reads, and at its end the whole of its part, has to be one of them.  Where writes may get
    lost, all that was ever written may be there.

    A thread ends with its first error, unless that is one of those tolerated.
    """

    def __init__(self, test, path, count=4, part=_MIB, start=0, tolerated=(), lossy=False):
        self.test, self.path, self.part, self.start = test, path, part, start
        self.tolerated, self.lossy = tolerated, lossy
        self.stop = threading.Event()
        self.rounds = [0] * count
        self.written = [0] * count
        self.refused = [0] * count
        # Reads that found something older than what was last written.
        self.older = [0] * count
        self.errors = [None] * count
        # Places in _BLOB, the newest last; None: nothing is known of the block, since the first
        # write failed, as did all that followed.
        self.may = [[None] * (part // _BLOCK) for _ in range(count)]
        self.running = [threading.Thread(target=self._work, args=(n,), daemon=True)
                        for n in range(count)]
        with blockdev.Direct(path) as device:
            for number in range(count):
                self._tolerant(number, self._fill, number, device)

    def _fill(self, number, device):
        places = range(number * _SECTOR, number * _SECTOR + self.part, _BLOCK)
        device.write(self._byte(number, 0), _BLOB[places.start:places.stop])
        self.may[number] = [(place,) for place in places]

    def _work(self, number):
        rng = random.Random(number)
        try:
            with blockdev.Direct(self.path) as device:
                while not self.stop.is_set():
                    self._once(number, device, rng)
                self._tolerant(number, self._compare, number, device, 0, self.part)
        except Exception as error:
            self.errors[number] = error

    def _once(self, number, device, rng):
        size = rng.choice((4096, 65536, 524288))
        at = rng.randrange(0, self.part - size) // _BLOCK * _BLOCK
        if not self._tolerant(number, self._write, number, device, at, size,
                              rng.randrange(0, _MIB)):
            return
        # What was written, and what nobody should have touched.
        other = rng.randrange(0, self.part - 65536) // _BLOCK * _BLOCK
        for at, size in ((at, size), (other, 65536)):
            if not self._tolerant(number, self._compare, number, device, at, size):
                return
        self.rounds[number] += 1

    def _tolerant(self, number, function, *args):
        """Whether it was done, or met an error that is tolerated."""
        try:
            function(*args)
        except OSError as error:
            if error.errno not in self.tolerated:
                raise
            self.refused[number] += 1
            return False
        return True

    def _write(self, number, device, at, size, source):
        may = self.may[number]
        blocks = range(at // _BLOCK, (at + size) // _BLOCK)
        places = range(source, source + size, _BLOCK)
        for block, place in zip(blocks, places):
            if may[block] is not None:
                may[block] += (place,)
        device.write(self._byte(number, at), _BLOB[source:source + size])
        self.written[number] += 1
        if not self.lossy:
            for block, place in zip(blocks, places):
                may[block] = (place,)

    def _byte(self, number, at):
        return self.start + number * self.part + at

    def _compare(self, number, device, at, size):
        data = device.read(self._byte(number, at), size)
        for offset in range(0, size, _BLOCK):
            may = self.may[number][(at + offset) // _BLOCK]
            found = data[offset:offset + _BLOCK]
            if may is None or found == _BLOB[may[-1]:may[-1] + _BLOCK]:
                continue
            self.older[number] += 1
            if not _made_of(found, may):
                raise AssertionError(
                    f"wrong data at {self._byte(number, at + offset)}, in {size} bytes read at "
                    f"{self._byte(number, at)}; {len(may)} contents would do")

    def compare(self, path, who):
        """After the end: what somebody else reads is what each thread knows."""
        with blockdev.Direct(path, os.O_RDONLY) as device:
            for number in range(len(self.may)):
                try:
                    self._compare(number, device, 0, self.part)
                except (AssertionError, OSError) as error:
                    self.test.fail(f"{who}: {error}")

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
            thread.join(60 * tap.SLOWNESS)
        self.test.check(not any(thread.is_alive() for thread in self.running), "threads ended")
        for error in filter(None, self.errors):
            self.test.fail(f"in a thread: {error!r}")
        did = [good + bad for good, bad in zip(self.rounds, self.refused)]
        self.test.check(all(did), f"every thread did something: {did}")


def _made_of(found, may):
    """Whether each sector of a block has one of the contents that it may have."""
    return all(any(found[at:at + _SECTOR] == _BLOB[place + at:place + at + _SECTOR]
                   for place in reversed(may))
               for at in range(0, _BLOCK, _SECTOR))
