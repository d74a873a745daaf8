#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Each allocation of memory that the module asks for, directly or not, fails once.

It steps through them: the first fails, then the second, until there are no more.  Where each of
them is, is in the diagnostics.  Kernels that cannot be probed are skipped.

WHOLE=1	all kinds of mappings, not one for each way that they are made; all rounds of loops
"""

import collections
import errno
import os

import blockdev
import cases
import dm
import integrity
import kernel
import keyring
import tap

MODULE = "failing_memory"
KIB = 1 << 10
BLOB = os.urandom(2 << 20)
SECTORS = 8 << 11
# More than there are, in any path; a path that never stops asking ends here.
MOST = 3000
# Functions that allocate in a loop, or into which such a one was inlined, or that ask for what the
# kernel makes of many; and so many in a row from one place in them before the steps grow.
LOOPS = ("alloc_reserve", "mempool_init_pages_bulk", "cbulk_tags_init", "cbulk_convert_init",
         "cbulk_convert", "alloc_queue")
ALIKE = 4
# As many as a kernel's own caches may grow by meanwhile.
FEW = 40

Kind = collections.namedtuple("Kind", "name cipher key options tuple")
KINDS = (
    Kind("aes-xts", "aes-xts-plain64", 64, (), 0),
    Kind("aes-xts, bypass options", "aes-xts-plain64", 64, cases.BYPASS, 0),
    Kind("queues", "aes-xts-plain64", 64, ("same_cpu_crypt", "sector_size:4096"), 0),
    Kind("essiv", "aes-cbc-essiv:sha256", 32, (), 0),
    Kind("two keys, eboiv", "aes:2-cbc-eboiv", 64, cases.BYPASS, 0),
    Kind("lmk", "aes:64-cbc-lmk", 1040, (), 0),
    Kind("tcw", "aes-cbc-tcw", 64, (), 0),
    Kind("elephant", "aes-cbc-elephant", 64, (), 0),
    # A request for each sector.
    Kind("asynchronous", cases.CRYPTD, 64, ("sector_size:4096",), 0),
    Kind("asynchronous, bypass options", cases.CRYPTD, 64,
         ("sector_size:4096", *cases.BYPASS), 0),
    Kind("authenc", "capi:authenc(hmac(sha256),xts(aes))-random", 96, (), 48),
    Kind("gcm, bypass options", "capi:gcm(aes)-random", 32, cases.BYPASS, 28),
)
IO_KINDS = [kind for kind in KINDS if kind.name not in ("essiv", "tcw", "elephant")]
if not tap.WHOLE:
    # To make the asynchronous cipher takes a second.
    KINDS = [kind for kind in KINDS if kind.name in ("aes-xts", "authenc")]
    IO_KINDS = [kind for kind in IO_KINDS if kind.name in ("aes-xts", "asynchronous", "authenc")]
NAMED = {kind.name: kind for kind in (*KINDS, *IO_KINDS)}


def _function(place):
    """The name of the function in FUNCTION.part.0+0xOFFSET/0xSIZE."""
    return place.split("+")[0].split(".")[0]


class Points:
    """The allocations of one action: each fails in its turn.

    Where a place asks for many alike, as for the pages of a reserve, some are left out: the steps
    grow, and where another place is met, it goes back to what is behind the last step.
    """

    def __init__(self, test, title):
        self.test, self.title = test, title
        self.where = collections.Counter()
        self.tried = []
        self.recursing = 0
        self._last = None

    def __iter__(self):
        """Numbers from 1 on, until the action is done without any failure."""
        number, step, place, alike = 1, 1, None, 0
        while number < MOST:
            yield number
            if step > 1 and self._last != place:
                number, step, alike = number - step + 1, 1, 0
                continue
            if not self._last:
                return
            in_loop = not tap.WHOLE and self._last == place and _function(place) in LOOPS
            alike = alike + 1 if in_loop else 0
            place = self._last
            step = min(step * 2, 32) if alike >= ALIKE else 1
            number += step
        self.test.fail(f"{self.title}: more than {MOST} allocations")

    def attempt(self, number, action, *args):
        """The errno of the action, 0 if it succeeded, in which this allocation fails."""
        kernel.parameter("at", number, MODULE)
        try:
            action(*args)
            result = 0
        except OSError as error:
            result = error.errno
        failed = int(kernel.parameter("failed", module=MODULE))
        self.recursing += int(kernel.parameter("recursing", module=MODULE))
        kernel.parameter("at", 0, MODULE)
        self._last = None
        if failed:
            self._last = kernel.parameter("where", module=MODULE).split(" ")[0]
            self.where[_function(self._last)] += 1
            self.tried.append(number)
        else:
            self.test.equal(result, 0, f"{self.title}: errno when nothing failed")
        return result

    def tell(self):
        places = ", ".join(f"{name} {count}" for name, count in sorted(self.where.items()))
        tap.diag(f"{self.title}: {len(self.tried)} of {max(self.tried, default=0)} points: "
                 f"{places}")
        self.test.check(self.where, f"{self.title}: an allocation is reached")


def need_probes():
    if not os.path.exists("/sys/kernel/debug/kprobes"):
        raise tap.Skip("this kernel cannot be probed")
    kernel.modprobe("failing-memory")


def below(test, kind, **attributes):
    """The device for a kind of mapping, with attributes of null_blk's, and its table line."""
    device = test.enter(blockdev.NullBlk(SECTORS >> 11, **attributes))
    options = list(kind.options)
    if kind.tuple:
        device = test.enter(integrity.Integrity(device, kind.tuple, 512))
        options.append(f"integrity:{kind.tuple}:aead")
    line = cases.line(kind.cipher, cases.key(kind.key), 0, device.dev, 0, options)
    return device, line, device.sectors


def mapping_without_spares(test, name, **attributes):
    """A mapping of a kind; no memory is kept of earlier writes, which would serve the next ones."""
    need_probes()
    _, line, sectors = below(test, NAMED[name], **attributes)
    test.enter(kernel.Parameter("recycle", "N"))
    return test.enter(dm.crypt(line, sectors))


def held():
    """Everything that a mapping holds and has to give back."""
    return {"users": kernel.users(kernel.MODULE),
            "ciphers": kernel.crypto_users(),
            "threads": kernel.threads("kcryptd", "dmcrypt_write")}


def leaked(actions):
    """What of the slabs grows with each of the actions, by an object in three points or more.

    An action returns how many points it tried."""
    found = None
    for action in actions:
        kernel.settle()
        before, percpu = kernel.slab_objects(), kernel.meminfo()["Percpu"]
        points = action()
        kernel.settle()
        after = kernel.slab_objects()
        grown = {name for name, count in after.items()
                 if count - before.get(name, 0) >= max(points // 3, 8)}
        if kernel.meminfo()["Percpu"] - percpu > FEW:
            grown.add("Percpu")
        found = grown if found is None else found & grown
        if not found:
            break
    return found


def construct(name, line, sectors):
    dm.load(name, [(0, sectors, dm.TARGET, line)])
    dm.clear(name)


@tap.each("construction: {0}", [(kind.name,) for kind in KINDS])
def test_construction(test, name):
    need_probes()
    kind = NAMED[name]
    _, line, sectors = below(test, kind)
    device = dm.unique()
    dm.create(device)
    test.defer(dm.remove, device)
    construct(device, line, sectors)
    before = held()
    points, tried = Points(test, name), []
    results = collections.Counter()

    def each():
        for number in points:
            result = points.attempt(number, construct, device, line, sectors)
            results[errno.errorcode.get(result, result)] += 1
            test.check(result in (0, errno.ENOMEM), f"errno {result} at allocation {number}")
            test.equal(held(), before, f"held after allocation {number}")
        points.tell()
        tried.extend(points.tried)
        return len(tried)

    def again():
        for number in tried:
            points.attempt(number, construct, device, line, sectors)
        return len(tried)
    # The kernel's own caches grow too, but not each time.
    grown = leaked((each, again, again, again))
    tap.diag(f"results: {dict(results)}")
    test.check(results["ENOMEM"], "construction fails for want of memory")
    test.equal(grown, set(), "what grows each time")


MESSAGES = (("aes-xts-plain64", 64), ("aes-cbc-essiv:sha256", 32), ("aes-cbc-elephant", 64),
            ("aes:64-cbc-lmk", 1040), ("capi:authenc(hmac(sha256),xts(aes))-random", 96))


@tap.each("messages: {0}", MESSAGES)
def test_messages(test, cipher, size):
    need_probes()
    keyring.join_session()
    keyring.add("user", "dcb:fault", bytes.fromhex(cases.key(size)))
    kind = Kind("", cipher, size, (), 48 if "authenc" in cipher else 0)
    _, line, sectors = below(test, kind)
    mapping = test.enter(dm.crypt(line, sectors))
    blockdev.write(mapping.path, 0, BLOB[:64 * KIB])
    dm.suspend(mapping.name)
    reached = 0
    for text in (f"key set {cases.key(size)}", f"key set :{size}:user:dcb:fault", "key wipe",
                 "stats"):
        points = Points(test, " ".join(text.split(" ")[:2]))
        for number in points:
            result = points.attempt(number, dm.message, mapping.name, text)
            test.check(result in (0, errno.ENOMEM), f"{text}: errno {result} at {number}")
            dm.message(mapping.name, f"key set {cases.key(size)}")
        reached += sum(points.where.values())
        test.equal(points.recursing, 0, f"{text}: allocations that may wait for I/O")
    tap.diag(f"{reached} points")
    test.check(reached, "an allocation is reached")
    dm.resume(mapping.name)
    test.check(blockdev.read(mapping.path, 0, 64 * KIB) == BLOB[:64 * KIB], "the data is read")


SIZES = (4 * KIB, 128 * KIB, 1024 * KIB)


@tap.each("writes and reads: {0}", [(kind.name,) for kind in IO_KINDS])
def test_io(test, name):
    mapping = mapping_without_spares(test, name)
    device = test.enter(blockdev.Direct(mapping.path))
    reached = 0
    for size in SIZES:
        data = BLOB[size >> 9:][:size]
        device.write(0, bytes(size))
        writes, reads = Points(test, f"write {size}"), Points(test, f"read {size}")
        for number in writes:
            result = writes.attempt(number, device.write, 0, data)
            test.equal(result, 0, f"write of {size}, allocation {number}: errno")
            test.check(device.read(0, size) == data, f"write of {size}, allocation {number}: data")
            device.write(0, bytes(size))
        device.write(0, data)
        for number in reads:
            got = []
            result = reads.attempt(number, lambda: got.append(device.read(0, size)))
            test.equal(result, 0, f"read of {size}, allocation {number}: errno")
            test.check(got == [data], f"read of {size}, allocation {number}: data")
        # What frees memory may be this very write, or wait for it.
        for points in (writes, reads):
            test.equal(points.recursing, 0, f"{points.title}: allocations that may wait for I/O")
        places = writes.where + reads.where
        reached += len(writes.tried + reads.tried)
        tap.diag(f"{size} bytes: {len(writes.tried + reads.tried)} points: {dict(places)}")
    test.check(reached, "an allocation is reached")


def write_without(test, mapping):
    """Writes and reads by several at once, while no allocation that counts succeeds."""
    workers = 4

    def work(number):
        at = number << 20
        with blockdev.Direct(mapping.path) as device:
            for round_ in range(3):
                for size in SIZES:
                    data = BLOB[(number + round_) * 512:][:size]
                    device.write(at, data)
                    test.check(device.read(at, size) == data, f"{size} bytes at {at}")
    with kernel.Parameter("times", 1 << 30, MODULE):
        kernel.parameter("at", 1, MODULE)
        test.defer(kernel.parameter, "at", 0, MODULE)
        test.threads([lambda number=number: work(number) for number in range(workers)])
        failed = int(kernel.parameter("failed", module=MODULE))
        recursing = int(kernel.parameter("recursing", module=MODULE))
        kernel.parameter("at", 0, MODULE)
    test.equal(recursing, 0, "allocations that may wait for I/O")
    tap.diag(f"{failed} allocations failed")
    test.check(failed, "an allocation is reached")


@tap.each("no memory at all for a while: {0}", [(kind.name,) for kind in IO_KINDS])
def test_none(test, name):
    write_without(test, mapping_without_spares(test, name))


@tap.test("no pages for a while, and a device so slow that the reserve is not enough")
def test_no_pages(test):
    mapping = mapping_without_spares(test, "aes-xts", irqmode=2, completion_nsec=200_000_000)
    # With other memory, so many writes are under way that it is pages they wait for.
    test.enter(kernel.Parameter("only_pages", "Y", MODULE))
    write_without(test, mapping)
    waits = dm.stats(mapping.name)["waits"]
    tap.diag(f"{waits} writes waited for the pages of others")
    test.check(waits, "pages are asked for in every way, and waited for")


if __name__ == "__main__":
    kernel.modprobe("dm-crypt")
    kernel.modprobe("dm-integrity")
    kernel.modprobe(kernel.MODULE)
    kernel.load_cryptd()
    kernel.hurry_rcu()
    tap.main()
