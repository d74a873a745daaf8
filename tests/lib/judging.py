# SPDX-License-Identifier: GPL-2.0
"""Lines before both targets: devices for them, what came of them, and who is to blame."""

import collections
import contextlib
import errno
import functools
import glob
import os
import re
import subprocess
import threading
import time

import blockdev
import cases
import differences
import dm
import kernel
import keyring
import linegen
import tap

# What takes the time is device-mapper waiting for RCU, not the processors.
WORKERS = 3
_PROGRESS = 5

# With integrity:N:none, older targets send metadata to devices that have no room for it: the kernel
# crashes at the first write.
_METADATA_LEFT_ALONE = (1, 28, 0)

Difference = collections.namedtuple("Difference", "check line stock bulk rule")


def say(verdict):
    """A verdict in words."""
    if not verdict.errno:
        return "accepted"
    return f"{errno.errorcode.get(verdict.errno, verdict.errno)} {verdict.text}"


class Devices:
    """The devices of one worker by the words of linegen.py; those with metadata once asked for."""

    def __init__(self, stack):
        # Of its own: a device that comes later than the mappings on it has to go later too.
        self._stack = stack.enter_context(contextlib.ExitStack())
        self._found = {}
        self._direct = {}
        self._add("DEV", self._enter(blockdev.NullBlk(linegen.DEVICE_SECTORS >> 11)))

    def _enter(self, manager):
        return self._stack.enter_context(manager)

    def _add(self, word, device):
        self._found[word] = device
        self._direct[device.dev] = self._enter(blockdev.Direct(device.path))

    def _with_metadata(self, tag, size):
        below = self._enter(blockdev.NullBlk(16))
        # Zeroes in the place of its superblock make the target format the device.
        table = f"{below.dev} 0 {tag} D 2 block_size:{size} journal_sectors:64"
        return self._enter(dm.Mapping([(0, linegen.SECTORS * 2, "integrity", table)]))

    def fill(self, line):
        """The line with devices in place of their words."""
        words = line.split(" ")
        for index, word in enumerate(words):
            found = re.fullmatch(r"DIF:(\d+):(\d+)", word)
            if found and word not in self._found:
                self._add(word, self._with_metadata(*found.groups()))
            if word in self._found:
                words[index] = self._found[word].dev
        return " ".join(words)

    def below(self, printed):
        """The device of a printed line, opened; None if no line like that should be live."""
        words = printed.split(" ")
        if re.fullmatch(r"capi:(?!ecb)[^-]*", words[0]):
            # Without an IV mode, the IV is what memory held.
            return None
        plain = words[3] == self._found["DEV"].dev
        if plain and " integrity:" in printed and dm.versions()[dm.STOCK] < _METADATA_LEFT_ALONE:
            return None
        return self._direct.get(words[3])


class Side:
    """A mapping that takes one table of its target after the other."""

    def __init__(self, stack, target):
        self.target = target
        self.name = dm.unique("dcbl")
        number = dm.create(self.name)
        stack.callback(dm.remove, self.name)
        self.dev = f"{os.major(number)}:{os.minor(number)}"
        self._log = stack.enter_context(kernel.Log())
        self._stack = stack
        self._direct = None

    def judge(self, params):
        return cases.try_table(self.name, params, linegen.SECTORS, self.target, self._log, self.dev)

    def start(self):
        """Make the table live; 0, or the errno with which device-mapper refuses to."""
        try:
            dm.resume(self.name)
        except OSError as error:
            return error.errno
        return 0

    def opened(self):
        # There is no node before the first table, and then it is held open over all tables.
        if not self._direct:
            path = f"/dev/dm-{self.dev.split(':')[1]}"
            self._direct = self._stack.enter_context(blockdev.Direct(path))
        return self._direct

    def printed(self):
        return dm.status(self.name, inactive=True)[0][3]


class Pair:
    """Takes lines to both targets and tells what differs."""

    def __init__(self, stack):
        self.devices = Devices(stack)
        self.stock = Side(stack, dm.STOCK)
        self.bulk = Side(stack, dm.TARGET)
        # Device-mapper looks at a mapping's first table more closely than at those that follow.
        first = self.devices.fill("cipher_null-ecb - 0 DEV 0")
        for side in (self.stock, self.bulk):
            if side.judge(first).errno:
                raise RuntimeError(f"{side.target} refuses {first}")
        self.clear()

    def take(self, line):
        """One line: (accepted by stock, differences as (check, stock's, crypt-bulk's))."""
        params = self.devices.fill(line)
        stock, bulk = self.stock.judge(params), self.bulk.judge(params)
        if any(one.errno == errno.EEXIST or one.errno and not one.text for one in (stock, bulk)):
            # "gcm(aes)x" is not found first, and then "gcm(aes)", which was made on the way, exists
            # already; and where others fill the log, its oldest messages may be lost.
            stock, bulk = self.stock.judge(params), self.bulk.judge(params)
        found = []
        if stock.errno != bulk.errno:
            found.append(("verdict", say(stock), say(bulk)))
        elif stock.errno and stock.text != bulk.text:
            found.append(("text", say(stock), say(bulk)))
        if not stock.errno and not bulk.errno:
            found += self.compare(params)
        else:
            for side, verdict in ((self.stock, stock), (self.bulk, bulk)):
                if not verdict.errno:
                    dm.clear(side.name)
        return not stock.errno, found

    def compare(self, _params):
        """What differs in tables that both took."""
        stock, bulk = self.stock.printed(), self.bulk.printed()
        if stock != bulk:
            yield "printed", stock, bulk

    def clear(self):
        for side in (self.stock, self.bulk):
            dm.clear(side.name)


class Tally:
    """What came of the lines so far."""

    def __init__(self, chosen, total):
        self.total = total
        self.accepted = self.rejected = 0
        self.found = []
        self.version = dm.versions()[dm.STOCK]
        self._left = iter(chosen)
        self._lock = threading.Lock()
        self._begin = self._told = time.monotonic()

    def next(self):
        with self._lock:
            return next(self._left, None)

    def add(self, line, accepted, found):
        with self._lock:
            self.accepted += accepted
            self.rejected += not accepted
            for check, stock, bulk in found:
                rule = differences.find(line, stock, bulk, self.version)
                self.found.append(Difference(check, line, stock, bulk, rule))
            if time.monotonic() - self._told > _PROGRESS:
                self._told = time.monotonic()
                self.tell()

    def tell(self):
        known = sum(bool(one.rule) for one in self.found)
        tap.diag(f"{time.monotonic() - self._begin:.0f} s: {self.accepted + self.rejected} of "
                 f"{self.total} lines, {self.accepted} accepted, {self.rejected} rejected, "
                 f"differences: {known} documented, {len(self.found) - known} not")

    def unknown(self, check):
        """Undocumented differences, those alike together: messages."""
        alike = collections.defaultdict(list)
        for one in self.found:
            if one.check == check and not one.rule:
                # Printed lines have little in common.
                key = "" if check == "printed" else (one.stock, one.bulk)
                alike[key].append(one)
        for group in alike.values():
            group.sort(key=lambda one: len(one.line))
            yield "\n".join([f"{len(group)} lines, stock: {group[0].stock}, "
                             f"crypt-bulk: {group[0].bulk}", *(one.line for one in group[:4])])


def add_keys():
    """The keys that linegen.py names."""
    keyring.join_session()
    for size in linegen.KEYRING_SIZES:
        payload = bytes.fromhex(cases.key(size))
        for kind in ("user", "logon"):
            keyring.add(kind, f"dcb:k{size}", payload)
    for kind in ("user", "logon"):
        keyring.add(kind, "dcb:short", b"7 bytes")
        keyring.revoke(keyring.add(kind, "dcb:revoked", bytes(32)))
    keyring.add("user", "dcb:master", bytes(32))
    for size in linegen.KEYRING_SIZES:
        # The kernel makes such a key itself, of at least 20 bytes and at most 128.
        if 20 <= size <= 128:
            keyring.add("encrypted", f"dcb:k{size}", f"new user:dcb:master {size}".encode())


def load_ciphers():
    """All ciphers there are: later a name that is not known is not known at once."""
    root = f"/lib/modules/{os.uname().release}/kernel"
    names = [os.path.basename(path).split(".ko")[0]
             for where in ("crypto", "arch/x86/crypto")
             for path in glob.glob(f"{root}/{where}/**/*.ko*", recursive=True)]
    # tcrypt is a test that runs when loaded.
    subprocess.run(["modprobe", "--quiet", "--all", *(name for name in names if name != "tcrypt")],
                   stderr=subprocess.DEVNULL)
    kernel.load_cryptd()


def prepare(test):
    """What both targets and their lines need, for the time of a test."""
    for name in ("dm-crypt", "dm-integrity", kernel.MODULE):
        kernel.modprobe(name)
    load_ciphers()
    kernel.hurry_rcu()
    add_keys()
    test.enter(kernel.NoModprobe())
    test.enter(cases.keys_shown())


def run(test, workers, tally, limit):
    """All of the tally's lines, by all workers at once."""
    def work(worker):
        for line in iter(tally.next, None):
            try:
                tally.add(line, *worker.take(line))
            except Exception as error:
                raise RuntimeError(f"on the line {line}") from error
    test.threads([functools.partial(work, worker) for worker in workers], limit)
    tally.tell()
