#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A kernel booted with preempt=none takes no CPU from its own threads: they have to give way."""

import os
import subprocess
import sys
import threading
import time

import blockdev
import cases
import dm
import kernel
import tap

MIB = 1 << 20
WRITES = 16384
# Of the two CPUs: one to encrypt on, one for the thread that writes.
FILLING, WRITING = {0}, {1}
HOG = """
import os
os.sched_setaffinity(0, {1})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
while True:
    pass
"""


def run_time(pid):
    """Seconds that a thread has been running."""
    return int(blockdev.read_text(f"/proc/{pid}/schedstat").split()[0]) / 1e9


class Ticker(threading.Thread):
    """Sleeps and wakes up on the write thread's CPU; the longest it could not run since a time."""

    def __init__(self, since):
        super().__init__(daemon=True)
        self.since, self.longest, self.stop = since, 0, False

    def run(self):
        os.sched_setaffinity(0, WRITING)
        last = time.monotonic()
        while not self.stop:
            time.sleep(0.001)
            now = time.monotonic()
            if now > self.since():
                self.longest = max(self.longest, now - max(last, self.since()))
            last = now


def drain(test, mapping, thread):
    """Pile writes up, let the thread loose on them: its time for all, others' longest wait."""
    released = float("inf")
    ticker = Ticker(lambda: released)
    ticker.start()
    before = dm.stats(mapping.name)["writes_queued"]
    with subprocess.Popen([sys.executable, "-c", HOG]) as hog:
        fio = subprocess.Popen(["fio", "--name=pile", f"--filename={mapping.path}", "--rw=write",
                                "--bs=4k", f"--size={WRITES * 4}k", "--direct=1",
                                "--ioengine=libaio", f"--iodepth={WRITES}", "--cpus_allowed=0"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        piled = tap.poll(lambda: dm.stats(mapping.name)["writes_queued"] - before == WRITES)
        started = run_time(thread)
        hog.kill()
        released = time.monotonic()
    test.require(piled, "all writes wait for the thread")
    said = fio.communicate()[0]
    taken = run_time(thread) - started
    ticker.stop = True
    ticker.join()
    test.require(fio.returncode == 0, said)
    return taken, ticker.longest


@tap.test("the thread that writes lets others run, however much there is to write")
def test_write_thread(test):
    try:
        model = blockdev.read_text("/sys/kernel/debug/sched/preempt")
    except FileNotFoundError:
        model = ""
    if "(none)" not in model or os.cpu_count() != 2:
        raise tap.Skip("this kernel cannot be told to preempt nobody")
    os.sched_setaffinity(0, FILLING)
    backing = test.enter(blockdev.NullBlk(WRITES * 4096 // MIB))
    # Each write is a request, and its own work.
    kernel.write_text(f"{backing.sysfs}/queue/nomerges", 2)
    for at in range(0, backing.bytes, MIB):
        blockdev.write(backing.path, at, bytes(MIB))
    mapping = test.enter(dm.crypt(
        cases.line("cipher_null-ecb", "-", 0, backing.dev, 0, ["same_cpu_crypt"]),
        backing.sectors))
    thread, = kernel.thread_ids("dmcrypt_write")
    os.sched_setaffinity(thread, WRITING)
    # One of them counts: an emulated CPU may stand still for a while.
    shares = []
    for _ in range(3):
        taken, longest = drain(test, mapping, thread)
        tap.diag(f"{WRITES} writes in {taken:.3f} s of the thread's, "
                 f"others waited {longest:.3f} s at most")
        shares.append(longest / taken)
    test.check(min(shares) < 0.5, f"others waited for so much of its time: {shares}")


if __name__ == "__main__":
    kernel.load_targets()
    tap.main()
