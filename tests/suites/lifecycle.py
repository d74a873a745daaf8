#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The module comes and goes, mappings come and go, and the memory they took comes back."""

import mmap
import os
import threading

import blockdev
import cases
import dm
import kernel
import tap

MIB = 1 << 20
KEY = cases.key(64)
BLOB = os.urandom(2 * MIB)
PAGE = 4096
# What one mapping may take at least, and what it has set aside: the stock target's figures.
MIN_CLIENT_PAGES = 256 * 16
RESERVE_PAGES = 256


def line(device, offset=0, options=()):
    return cases.line("aes-xts-plain64", KEY, 0, device.dev, offset, options)


def use(test, backing, options=()):
    """One mapping's life, with I/O of several sizes."""
    with dm.crypt(line(backing, 0, options), backing.sectors) as mapping:
        with blockdev.Direct(mapping.path) as device:
            device.write(0, BLOB)
            device.write(4096, BLOB[4096:8192])
            device.sync()
            test.check(device.read(MIB, MIB) == BLOB[MIB:], "read back")


def unload(test):
    run = kernel.rmmod(kernel.MODULE)
    test.require(run.returncode == 0, f"rmmod: {run.stderr}")
    test.check(not kernel.loaded(kernel.MODULE), "it is gone")


def slab_total():
    kernel.settle()
    return kernel.meminfo()["SUnreclaim"] if kernel.COUNTS else 0


@tap.test("loaded and unloaded 20 times, with mappings and I/O in between, losing no memory",
          timeout=600)
def test_reload(test):
    backing = test.enter(blockdev.NullBlk(4))
    cycles = 20

    def cycle(number):
        kernel.modprobe(kernel.MODULE)
        use(test, backing, [] if number % 2 else ["no_write_workqueue", "no_read_workqueue"])
        use(test, backing, ["sector_size:4096"])
        unload(test)
    for number in range(4):
        cycle(number)
    slab, percpu = slab_total(), kernel.meminfo()["Percpu"]
    caches = set(kernel.slab_objects(""))
    test.defer(kernel.modprobe, kernel.MODULE)

    def work():
        for number in range(cycles):
            cycle(number)
        test.equal(kernel.threads("kcryptd", "dmcrypt_write"), [], "threads left behind")
    lost = kernel.lost_kib(work, 256, 3)
    grown = slab_total() - slab
    tap.diag(f"{lost} KiB less free, {grown} KiB more slab after each {cycles} cycles")
    # One bio's buffer a cycle would be 20 MiB, one page a cycle in slab 80 KiB.
    test.check(lost[-1] < 256, f"every round loses memory: {lost} KiB")
    test.check(grown < 1024, f"SUnreclaim grew by {grown} KiB")
    test.check(kernel.meminfo()["Percpu"] - percpu < 200, "Percpu grew")
    test.equal(set(kernel.slab_objects("")) - caches, set(), "slab caches left behind")


@tap.test("mappings made and removed 40 times a round lose nothing, round after round")
def test_mappings(test):
    backing = test.enter(blockdev.NullBlk(4))
    cycles = 40
    for _ in range(5):
        use(test, backing)
    # The kernel's own caches grow as well, but not each time: a leak shows in every round.
    leaks = []
    for _ in range(4):
        kernel.settle()
        objects, free, ciphers = kernel.slab_objects(), kernel.free_kib(), kernel.crypto_users()
        percpu = kernel.meminfo()["Percpu"]
        for _ in range(cycles):
            use(test, backing)
        lost = kernel.less_free_kib(free)
        now = kernel.slab_objects()
        # An object a mapping would be 40; a page a mapping is 160 KiB, a bio's buffer 40 MiB.
        found = {name for name, count in objects.items() if now.get(name, 0) - count >= 30}
        found |= {name for name, count in kernel.crypto_users().items()
                  if count > ciphers.get(name, count)}
        if kernel.meminfo()["Percpu"] - percpu > cycles * 2:
            found.add("Percpu")
        if lost > 128:
            found.add("MemFree")
        tap.diag(f"{lost} KiB less free after {cycles} mappings; grown: {sorted(found)}")
        leaks.append(found)
        if not set.intersection(*leaks):
            break
    test.equal(set.intersection(*leaks), set(), "what grew in every round")


@tap.test("the module in use is not unloaded")
def test_busy(test):
    backing = test.enter(blockdev.NullBlk(4))
    with dm.crypt(line(backing), backing.sectors) as mapping:
        test.equal(kernel.users(kernel.MODULE), 1, "users")
        run = kernel.rmmod(kernel.MODULE)
        test.check(run.returncode and "in use" in run.stderr, f"rmmod: {run.stderr}")
        blockdev.write(mapping.path, 0, BLOB[:4096])
        test.check(blockdev.read(mapping.path, 0, 4096) == BLOB[:4096], "it works on")
        # A table that is loaded and not live holds the module, too.
        name = dm.unique()
        dm.create(name)
        dm.load(name, [(0, 8, dm.TARGET, line(backing))])
        test.equal(kernel.users(kernel.MODULE), 2, "users")
        dm.remove(name)
    test.equal(kernel.users(kernel.MODULE), 0, "users at the end")
    unload(test)
    kernel.modprobe(kernel.MODULE)


@tap.test("mappings made and removed by several at once")
def test_concurrent(test):
    backings = [test.enter(blockdev.NullBlk(4)) for _ in range(4)]
    test.threads([lambda b=b: [use(test, b) for _ in range(6)] for b in backings])
    test.equal(kernel.users(kernel.MODULE), 0, "users at the end")


def backings(test):
    """Devices that complete in the submitter's context, in softirq, and in a hard interrupt."""
    for irqmode in range(3):
        yield test.enter(blockdev.NullBlk(4, irqmode=irqmode, completion_nsec=20000))


def once(test, backing, options):
    with dm.crypt(line(backing, 0, options), backing.sectors) as mapping:
        with blockdev.Direct(mapping.path) as device:
            # Large enough to be encrypted by a worker: its submitter, who holds it too, is gone.
            device.write(0, BLOB)
            test.check(device.read(0, 65536) == BLOB[:65536], "read back")
            test.check(device.read(0, PAGE) == BLOB[:PAGE], "read back")


@tap.test("a mapping removed at once after its last write completed")
def test_quick_remove(test):
    # What still runs when the bio has completed must not touch what the destructor frees.
    for backing in backings(test):
        for number in range(21):
            once(test, backing, [[], ["no_read_workqueue"], ["no_write_workqueue"]][number % 3])


@tap.test("the module unloaded at once after its last mapping went")
def test_quick_unload(test):
    for backing in backings(test):
        for number in range(4):
            kernel.modprobe(kernel.MODULE)
            once(test, backing, [[], ["no_read_workqueue"]][number % 2])
            kernel.delete_module(kernel.MODULE)
            test.check(not kernel.loaded(kernel.MODULE), "it is gone")
    kernel.modprobe(kernel.MODULE)


class Stuck:
    """Many writes of 1 MiB in flight on mappings whose device takes them and completes none."""

    def __init__(self, test, mappings, below, writers):
        self.test, self.below = test, below
        self.errors = []
        # The buffers and the pages they copy from are there before memory is counted.
        ready = threading.Barrier(writers + 1)
        self.go = threading.Event()

        def work(number):
            try:
                at = number // len(mappings) * MIB
                buffer = mmap.mmap(-1, MIB)
                start = number * 512
                buffer[:] = BLOB[start:start + MIB]
                with blockdev.Direct(mappings[number % len(mappings)].path) as device:
                    ready.wait()
                    self.go.wait()
                    if os.pwritev(device.file, [buffer], at) != MIB:
                        raise AssertionError(f"short write of writer {number}")
                    if device.read(at, MIB) != BLOB[start:start + MIB]:
                        raise AssertionError(f"wrong data of writer {number}")
            except Exception as error:
                self.errors.append(error)
                ready.abort()
        self.threads = [threading.Thread(target=work, args=(n,), daemon=True)
                        for n in range(writers)]
        for thread in self.threads:
            thread.start()
        ready.wait(60)

    def hold(self):
        """Stop the device, let the writers loose; the memory they take until nothing moves, KiB."""
        free = kernel.free_kib()
        for one in self.below:
            dm.suspend(one.name, flush=False)
        self.go.set()
        taken = [0] * 8

        def still():
            taken.append(free - kernel.free_now_kib())
            return len(taken) > 16 and max(taken[-8:]) - min(taken[-8:]) < 512
        tap.poll(still, timeout=60, interval=0.25)
        return taken[-1]

    def release(self):
        for one in self.below:
            dm.resume(one.name)
        for thread in self.threads:
            thread.join(60)
        self.test.check(not any(thread.is_alive() for thread in self.threads), "writers ended")
        for error in self.errors:
            self.test.fail(f"in a thread: {error!r}")


def held(test, clients, writers, target):
    """KiB that so many mappings take with so many stuck writes of 1 MiB."""
    with blockdev.NullBlk(writers) as backing:
        share = backing.sectors // clients
        below = [dm.Mapping([(0, share, "linear", f"{backing.dev} {n * share}")])
                 for n in range(clients)]
        mappings = [dm.crypt(line(one), share, target) for one in below]
        stuck = Stuck(test, mappings, below, writers)
        taken = stuck.hold()
        stuck.release()
        for mapping in mappings + below:
            dm.remove(mapping.name)
    return taken


@tap.each("what {0} mapping(s) hold when the device completes nothing is bounded as in stock",
          [1, 2, 4])
def test_memory_bound(test, clients):
    writers = 96
    share = kernel.meminfo()["MemTotal"] * 2 // 100 // (PAGE // 1024)
    pages = clients * (max(share // clients, MIN_CLIENT_PAGES) + RESERVE_PAGES)
    # The reserve is allocated before and does not count; bios, requests and tables do.
    slack = 6 * 1024
    bound = pages * PAGE // 1024 + slack
    test.require(bound + 4096 < writers * 1024, "the writers want more than the bound")
    taken = held(test, clients, writers, dm.TARGET)
    tap.diag(f"{taken} KiB held by {clients} mappings, bound {bound} KiB, wanted {writers} MiB")
    test.check(taken < bound, f"{taken} KiB held, bound {bound} KiB")
    # A test in which no writer got anywhere would prove nothing.
    test.check(taken > 4096, f"only {taken} KiB held")


if __name__ == "__main__":
    kernel.load_targets()
    kernel.hurry_rcu()
    tap.main()
