# SPDX-License-Identifier: GPL-2.0
"""What the suites read off the kernel: its log, its modules, its memory."""

import contextlib
import gc
import glob
import os
import subprocess
import time

import dm
import tap
from libc import syscall

MODULES = {"crypt-bulk": "dm_crypt_bulk", "crypt": "dm_crypt"}
MODULE = MODULES[dm.TARGET]

_DELETE_MODULE = 176


class Log:
    """The kernel's log since the mark: no process, no wait."""

    def __init__(self):
        self._file = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self._file, 0, os.SEEK_END)

    def read(self):
        """The messages since the last read."""
        found = []
        while True:
            try:
                record = os.read(self._file, 8192)
            except BlockingIOError:
                return found
            except BrokenPipeError:
                # The ring went past us; the next read is at the oldest message left.
                continue
            found.append(record.split(b";", 1)[1].split(b"\n", 1)[0].decode(errors="replace"))

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        os.close(self._file)


def modprobe(*args, check=True):
    return subprocess.run(["modprobe", *args], check=check, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)


def modinfo(name, field):
    """What a module says of itself; empty where there is no such module."""
    return subprocess.run(["modinfo", "-F", field, name], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True).stdout


def rmmod(name):
    return subprocess.run(["rmmod", name], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)


def delete_module(name):
    """Unload a module without a process of its own, so that nothing has time to come to rest."""
    syscall(_DELETE_MODULE, name.encode(), os.O_NONBLOCK)


def loaded(name):
    # Built-in code has a directory too, but no refcnt.
    return os.path.exists(f"/sys/module/{name}/refcnt")


def users(name):
    with open(f"/sys/module/{name}/refcnt") as file:
        return int(file.read())


def write_text(path, text):
    """Write to a file of sysfs, procfs or the like."""
    with open(path, "w") as file:
        file.write(str(text))


def parameter(name, value=None, module=MODULE):
    """Read a module parameter, or set it."""
    path = f"/sys/module/{module}/parameters/{name}"
    if value is None:
        with open(path) as file:
            return file.read().strip()
    write_text(path, value)
    return None


def has_parameter(name, module=MODULE):
    return os.path.exists(f"/sys/module/{module}/parameters/{name}")


class Parameter:
    """A module parameter set for the time of a with statement."""

    def __init__(self, name, value, module=MODULE):
        self.name, self.module = name, module
        self.before = parameter(name, module=module)
        parameter(name, value, module)

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        if has_parameter(self.name, self.module):
            parameter(self.name, self.before, self.module)


class NoModprobe:
    """The kernel loads no modules for the time of a with statement."""

    PATH = "/proc/sys/kernel/modprobe"

    def __enter__(self):
        with open(self.PATH) as file:
            self.before = file.read()
        write_text(self.PATH, "\n")
        return self

    def __exit__(self, *_exc):
        write_text(self.PATH, self.before)


def warn_again():
    """Let the kernel say once more what it warns of only once."""
    path = "/sys/kernel/debug/clear_warn_once"
    if not os.path.exists(path):
        subprocess.run(["mount", "-t", "debugfs", "debugfs", "/sys/kernel/debug"], check=True)
    write_text(path, 1)


def hurry_rcu():
    """Expedite grace periods: a suite that makes a thousand mappings waits for little else."""
    write_text("/sys/kernel/rcu_expedited", 1)


def open_crypto_api():
    """Give programs all ciphers through AF_ALG, of which newer kernels keep the rarer back.

    cryptsetup asks there whether there is a cipher, and decrypts headers there.
    """
    path = "/proc/sys/crypto/af_alg_restrict"
    modprobe("af_alg", check=False)
    if os.path.exists(path):
        write_text(path, 0)


def meminfo():
    """/proc/meminfo in KiB."""
    found = {}
    with open("/proc/meminfo") as file:
        for line in file:
            name, value = line.split(":")
            found[name] = int(value.split()[0])
    return found


def block_softirqs():
    """How often requests ended in softirq context."""
    with open("/proc/softirqs") as file:
        return next(sum(map(int, line.split()[1:])) for line in file if "BLOCK:" in line)


# Where kmemleak is, KASAN keeps back for long what was freed, and nothing can be counted. Objects
# that were lost kmemleak finds itself, when the VM ends, but not pages.
COUNTS = not os.path.exists("/sys/kernel/debug/kmemleak")


def settle():
    """Give back what caches hold, so that two readings of free memory can be compared."""
    os.sync()
    write_text("/proc/sys/vm/drop_caches", 3)
    if COUNTS:
        _shrink("")


def _shrink(prefix):
    """Take back what CPUs keep of these slab caches for themselves."""
    for path in glob.glob(f"/sys/kernel/slab/{prefix}*/shrink"):
        # A cache may go away meanwhile. The kernel copies what is written: a short text into one of
        # the smallest objects, of which the processor would take a whole slab again.
        with contextlib.suppress(FileNotFoundError):
            write_text(path, "1".ljust(4000))


def _on_cpu_lists_kib():
    """Free pages that CPUs keep on lists of their own: some 20 MiB, which MemFree leaves out."""
    with open("/proc/zoneinfo") as file:
        pages = sum(int(line.split(":")[1]) for line in file if line.strip().startswith("count:"))
    return pages * 4


def free_now_kib():
    """Free memory as it is, with what caches hold left to them."""
    return meminfo()["MemFree"] + _on_cpu_lists_kib()


def free_kib(tries=3):
    """Free memory after settle(): the best of a few readings, as deferred frees trickle in."""
    best = 0
    for _ in range(tries):
        settle()
        best = max(best, free_now_kib())
        time.sleep(0.05)
    return best


def less_free_kib(before):
    """How much less memory is free than free_kib() said before."""
    return before - free_kib() if COUNTS else 0


def lost_kib(work, bound, rounds=4):
    """Free memory that each round of work loses, until a round loses less than the bound.

    The kernel's own caches grow by some MiB now and then; a leak grows in every round.
    """
    if not COUNTS:
        work()
        raise tap.Skip("done, but KASAN keeps back what is freed: pages cannot be counted")
    lost = []
    while len(lost) < rounds and (not lost or lost[-1] >= bound):
        before = free_kib()
        work()
        # An exception keeps its frames and what they refer to.
        gc.collect()
        lost.append(less_free_kib(before))
    return lost


def _slabs_as_counted(prefix):
    """As the kernel counts them: all of a slab that a processor has for itself are live."""
    _shrink(prefix)
    found = {}
    with open("/proc/slabinfo") as file:
        for line in file.readlines()[2:]:
            words = line.split()
            if words[0].startswith(prefix):
                found[words[0]] = int(words[1])
    return found


def slab_objects(prefix="kmalloc"):
    """Live objects of each cache so named: the least of some looks, all of which see too many."""
    if not COUNTS:
        return {}
    looks = [_slabs_as_counted(prefix) for _ in range(4)]
    return {name: min(look.get(name, count) for look in looks)
            for name, count in looks[0].items()}


def crypto_users():
    """Reference counts in /proc/crypto, by driver: a cipher not given back shows here."""
    found = {}
    driver = None
    with open("/proc/crypto") as file:
        for line in file:
            if line.startswith("driver"):
                driver = line.split(":", 1)[1].strip()
            elif line.startswith("refcnt"):
                found[driver] = int(line.split(":")[1])
    return found


# Drivers that nothing of the processor is needed for, to build others on. The names have changed.
AES, HMAC_SHA256 = ("aes-generic", "hmac(sha256-generic)")
if "aes-lib" in crypto_users():
    AES, HMAC_SHA256 = ("aes-lib", "hmac-sha256-lib")


def load_targets():
    """The stock target, and the one under test."""
    modprobe("dm-crypt")
    modprobe(MODULE)


def load_cryptd():
    """Have the template cryptd, which makes a driver asynchronous: the kernel's or, else, ours."""
    if modprobe("cryptd", check=False).returncode:
        modprobe("async-cipher")


def _threads(prefixes):
    """Number and name of each task so named, as /proc shows them."""
    for path in glob.glob("/proc/[0-9]*/comm"):
        try:
            with open(path) as file:
                name = file.read().strip()
        except OSError:
            continue
        if name.startswith(prefixes):
            yield int(path.split("/")[2]), name


def threads(*prefixes):
    """The names of kernel threads so named."""
    return sorted(name for _, name in _threads(prefixes))


def thread_ids(*prefixes):
    """Their numbers."""
    return [number for number, _ in _threads(prefixes)]
