#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What the system is told of a mapping: limits, reports, work queues, measurements, audit records.

Everything is compared with what the stock target of the running kernel does.
"""

import contextlib
import errno
import os
import re
import subprocess

import audit
import blockdev
import cases
import disks
import dm
import integrity
import kernel
import keyring
import layout
import tap

MIB = 1 << 20
KEY = cases.key(64)
BOTH = (dm.STOCK, dm.TARGET)
WORKQUEUES = "/sys/devices/virtual/workqueue"


def line(backing, options=(), cipher="aes-xts-plain64", key=KEY):
    return cases.line(cipher, key, 0, backing.dev, 0, options)


def options_known():
    """The options that the stock target of this kernel knows, too."""
    words = ["allow_discards", "same_cpu_crypt", "high_priority", "submit_from_crypt_cpus",
             "no_read_workqueue", "no_write_workqueue", "sector_size:4096", "iv_large_sectors"]
    if dm.versions()[dm.STOCK] < (1, 26, 0):
        words.remove("high_priority")
    return words


def as_stock(text):
    """A text of the target under test, with stock's name in the place of its own."""
    return text.replace(dm.TARGET, dm.STOCK)


def atomic_disk():
    """A SCSI disk, with atomic writes where its driver has them."""
    parameters = ["dev_size_mb=16", "sector_size=512"]
    if "atomic_wr:" in kernel.modinfo("scsi_debug", "parm"):
        parameters.append("atomic_wr=1")
    kernel.modprobe("sd_mod")
    return disks.new("sd", "scsi_debug", *parameters)


@contextlib.contextmanager
def memory_disk():
    """Persistent memory, which memmap= made, for the rest of the VM's life."""
    kernel.modprobe("nd_pmem")
    kernel.modprobe("nd_e820")
    if not tap.poll(lambda: os.path.exists("/sys/block/pmem0")):
        raise RuntimeError("no persistent memory: is memmap= on the kernel's command line?")
    disk = disks.Disk("pmem0")
    if blockdev.queue(disk)["queue/dax"] != "1":
        raise RuntimeError("files on this memory could not be mapped directly")
    yield disk


ZONED = {"zoned": 1, "zone_size": 4, "zone_nr_conv": 1}
DISKS = {
    "null_blk": lambda: blockdev.NullBlk(8),
    "null_blk that discards": lambda: blockdev.NullBlk(8, discard=1),
    "null_blk of 4096-byte sectors": lambda: blockdev.NullBlk(8, blocksize=4096, discard=1),
    "null_blk with a cache": lambda: blockdev.NullBlk(8, cache_size=4),
    "null_blk of large requests": lambda: blockdev.NullBlk(8, max_sectors=4096),
    "null_blk with zones": lambda: blockdev.NullBlk(32, **ZONED),
    "null_blk with zones, few of them open":
        lambda: blockdev.NullBlk(32, zone_max_open=3, zone_max_active=4, **ZONED),
    "null_blk with zones of 4096-byte sectors":
        lambda: blockdev.NullBlk(32, blocksize=4096, max_sectors=4096, **ZONED),
    "scsi_debug, atomic if it can": atomic_disk,
    "persistent memory": memory_disk,
    "loop": lambda: blockdev.SparseLoop(8 * MIB),
}


@tap.each("the queue of a mapping is as stock's, over {0}", DISKS, sample=4)
def test_queue(test, kind):
    backing = test.enter(DISKS[kind]())
    for size in (512, 1024, 4096):
        for words in ([], ["allow_discards"]):
            options = [f"sector_size:{size}", *words]
            found = []
            for target in BOTH:
                with dm.crypt(line(backing, options), backing.sectors, target) as mapping:
                    found.append(blockdev.queue(mapping))
            test.check("queue/logical_block_size" in found[0], "something was compared")
            different = {name for name in {*found[0], *found[1]}
                         if found[0].get(name) != found[1].get(name)}
            test.equal({name: found[1].get(name) for name in different},
                       {name: found[0].get(name) for name in different},
                       f"queue with {options}")


@tap.test("atomic writes: as large as stock allows, and read back")
def test_atomic(test):
    backing = test.enter(atomic_disk())
    limits = []
    for target in BOTH:
        with dm.crypt(line(backing), backing.sectors, target) as mapping:
            limits.append(int(blockdev.queue(mapping).get("queue/atomic_write_unit_max_bytes", 0)))
            if not limits[-1]:
                continue
            rwf_atomic = 0x40
            for size in (4096, limits[-1]):
                data = os.urandom(size)
                blockdev.write(mapping.path, MIB, data, rwf_atomic)
                test.check(blockdev.read(mapping.path, MIB, size) == data,
                           f"{target}: {size} bytes read back")
            test.raises(OSError, errno.EINVAL, blockdev.write, mapping.path, MIB,
                        bytes(2 * limits[-1]), rwf_atomic)
            with kernel.Parameter("max_write_size", 4096, kernel.MODULES[target]), \
                    blockdev.BlockTrace(backing) as trace:
                blockdev.write(mapping.path, 0, bytes(16384), rwf_atomic)
                test.equal([(sector, count) for _, sector, count in trace.bios()], [(0, 32)],
                           f"{target}: an atomic write is not split")
    test.equal(limits[1], limits[0], "largest atomic write")
    if not limits[0]:
        raise tap.Skip("this kernel's stock target has no atomic writes")


# Bios of 3 MiB, of 1 MiB in pages, of a few sectors more than a power of two; and small ones.
SPLITS = ["1048576@0x3", "4096@0x256", "4096@0x255 1536@0", "131072@0 512@0", "135168@0", "512@0"]


@tap.each("requests are split where stock splits them, {0}",
          ["sector_size:512", "sector_size:4096", "sector_size:512, sectors of 4096 below"],
          sample=1)
def test_splits(test, which):
    layout.require()
    size = 4096 if "4096" in which else 512
    options = [which] if "below" not in which else []
    backing = test.enter(blockdev.NullBlk(16, blocksize=4096 if "below" in which else 512,
                                          max_sectors=4096))
    # Before 6.11 stock has no parameters.
    limits = [(0, 0)]
    if kernel.has_parameter("max_write_size", kernel.MODULES[dm.STOCK]):
        limits += [(1, 1), (4096, 8192), (8192, 4096), (10000, 70000), (131071, 131073),
                   (1 << 20, 1 << 30)]
    for read_size, write_size in limits:
        found = {}
        for target in BOTH:
            module = kernel.MODULES[target]
            with contextlib.ExitStack() as stack:
                if len(limits) > 1:
                    stack.enter_context(kernel.Parameter("max_read_size", read_size, module))
                    stack.enter_context(kernel.Parameter("max_write_size", write_size, module))
                mapping = stack.enter_context(dm.crypt(line(backing, options), backing.sectors,
                                                       target))
                trace = stack.enter_context(blockdev.BlockTrace(backing))
                for seed, segments in enumerate(SPLITS):
                    if size == 4096 and re.search(r"(1536|512)@", segments):
                        continue
                    for operation in ("write", "read"):
                        result = layout.submit(operation, mapping.path, 24, seed, segments)
                        test.check(not result.error and not result.problem,
                                   f"{target}: {operation} of {segments}: {result}")
                found[target] = sorted(trace.bios())
        test.check(found[dm.STOCK], "something was traced")
        test.equal(found[dm.TARGET], found[dm.STOCK],
                   f"bios with max_read_size {read_size}, max_write_size {write_size}")


def workqueues():
    """The work queues of mappings in sysfs: name, without its number, to its files' contents."""
    found = {}
    for name in os.listdir(WORKQUEUES):
        if not name.startswith("kcryptd"):
            continue
        directory = f"{WORKQUEUES}/{name}"
        files = {entry: blockdev.read_text(f"{directory}/{entry}")
                 for entry in sorted(os.listdir(directory))
                 if os.path.isfile(f"{directory}/{entry}") and entry != "uevent"}
        found[re.sub(r"-\d+$", "-N", name)] = files
    return found


@tap.test("work queues and threads are named and set up as stock's, whatever the options")
def test_workqueues(test):
    backing = test.enter(blockdev.NullBlk(4))
    for options in ([], *([word] for word in options_known())):
        found = []
        for target in BOTH:
            with dm.crypt(line(backing, options), backing.sectors, target):
                threads = kernel.threads("kcryptd", "kworker/R-kcryptd", "dmcrypt_write")
                found.append((workqueues(), [re.sub(r"-\d+$", "-N", name) for name in threads]))
        test.equal(found[1], found[0], f"with {options}")
        test.check(found[0][1], "threads were found")
    test.equal(workqueues(), {}, "work queues left behind")


@tap.test("a mapping moves between the targets though both have work queues for it in sysfs")
def test_workqueue_names(test):
    backing = test.enter(blockdev.NullBlk(4))
    tables = {target: [(0, backing.sectors, target, line(backing))] for target in BOTH}
    mapping = test.enter(dm.Mapping(tables[dm.STOCK]))
    for target in (dm.TARGET, dm.STOCK, dm.TARGET, dm.TARGET):
        dm.load(mapping.name, tables[target])
        # The queues of the live table and of the loaded one are there at once.
        names = [name for name in os.listdir(WORKQUEUES) if name.startswith("kcryptd")]
        test.check(len(names) in (0, 4), f"queues of two tables: {sorted(names)}")
        dm.suspend(mapping.name)
        dm.resume(mapping.name)
    queue = next((name for name in os.listdir(WORKQUEUES) if name.startswith("kcryptd-")), None)
    if queue:
        path = f"{WORKQUEUES}/{queue}/cpumask"
        kernel.write_text(path, 1)
        test.equal(int(blockdev.read_text(path), 16), 1, "the CPUs that encrypt can be chosen")
    blockdev.write(mapping.path, 0, b"w" * MIB)
    test.check(blockdev.read(mapping.path, 0, MIB) == b"w" * MIB, "written and read")


REPORTS = (["status"], ["status", "--noflush"], ["info"], ["deps"], ["deps", "-o", "devname"],
           ["ls", "--tree"], ["ls"], ["info", "-c", "--noheadings", "-o", "all"])


@tap.test("dmsetup status, info, deps, ls and targets: as for stock but for the name")
def test_reports(test):
    backing = test.enter(blockdev.NullBlk(4))
    name = dm.unique("dcbreport")
    for options in ([], ["allow_discards", "sector_size:4096"]):
        found = []
        for target in BOTH:
            with dm.crypt(line(backing, options), backing.sectors, target, name):
                found.append({" ".join(words): as_stock(dm.dmsetup(
                    *words, *([] if words[0] == "ls" else [name]), check=True).stdout)
                    for words in REPORTS})
        for words, wanted in found[0].items():
            test.equal(found[1][words], wanted, f"dmsetup {words}")
        test.check(name in found[0]["info"] and "crypt" in found[0]["status"], "it was there")
    targets = dict(entry.split() for entry in dm.dmsetup("targets").stdout.splitlines())
    test.check(re.fullmatch(r"v1\.\d+\.\d+", targets.get(dm.TARGET, "")), f"targets: {targets}")


MEASUREMENTS = "/sys/kernel/security/ima/ascii_runtime_measurements"


def measured(name):
    """What IMA recorded when a table was loaded for a mapping, one text a target."""
    found = []
    with open(MEASUREMENTS) as file:
        for entry in file:
            # PCR template-hash ima-buf digest event data
            words = entry.split()
            if len(words) < 6 or words[4] != "dm_table_load":
                continue
            text = bytes.fromhex(words[5]).decode()
            if f"name={name}," in text:
                found += [part for part in text.split(";") if part.startswith("target_index=")]
    return found


MEASURED = [
    ("aes-xts-plain64", 64, []),
    ("aes-cbc-essiv:sha256", 32, []),
    ("aes:4-cbc-plain64", 64, []),
    ("capi:xts(aes)-plain64", 64, ["sector_size:1024"]),
    ("capi:cbc(aes)-essiv:sha256", 32, ["sector_size:4096", "iv_large_sectors"]),
    ("aes:64-cbc-lmk", 1040, []),
    ("aes-cbc-tcw", 64, []),
    ("cipher_null-ecb", 0, []),
    ("cipher_null-ecb", 0, ["sector_size:512"]),
]
# With the bytes of metadata that the device keeps.
MEASURED_TAGS = [
    ("capi:xts(aes)-random", 64, 16, ["integrity:16:none"]),
    ("capi:authenc(hmac(sha256),xts(aes))-random", 96, 48, ["integrity:48:aead"]),
    ("capi:authenc(hmac(sha256),xts(aes))-random", 96, 48,
     ["integrity:48:aead", "integrity_key_size:32"]),
]


@tap.test("integrity measurement records the same of a table as for stock")
def test_ima(test):
    if not os.path.exists(MEASUREMENTS):
        subprocess.run(["mount", "-t", "securityfs", "securityfs", "/sys/kernel/security"],
                       check=True)
    test.require("critical_data" in blockdev.read_text("/proc/cmdline"), "ima_policy= is given")
    backing = test.enter(blockdev.NullBlk(4))
    keyring.join_session()
    keyring.add("user", "dcb:ima", bytes(range(64)))
    jobs = [("aes-xts-plain64", KEY, backing, [word]) for word in options_known()]
    jobs.append(("aes-xts-plain64", KEY, backing, options_known()))
    jobs.append(("aes-xts-plain64", ":64:user:dcb:ima", backing, []))
    jobs += [(cipher, cases.key(size), backing, options) for cipher, size, options in MEASURED]
    for cipher, size, tag, options in MEASURED_TAGS:
        if "integrity_key_size" in str(options) and dm.versions()[dm.STOCK] < (1, 28, 0):
            continue
        device = test.enter(integrity.Integrity(test.enter(blockdev.NullBlk(4)), tag, 512))
        jobs.append((cipher, cases.key(size), device, options))
    for cipher, key, device, options in jobs:
        found = []
        for target in BOTH:
            name = dm.unique("dcbima")
            with dm.crypt(line(device, options, cipher, key), 64, target, name):
                found.append(measured(name))
            test.equal(len(found[-1]), 1, f"{target}: measurements of {cipher} {options}")
        version = r"target_name=[^,]*,target_version=[^,]*,"
        test.check(all(re.search(version, text) for text in found[1]), "name and version are there")
        test.equal([re.sub(version, "", text) for text in found[1]],
                   [re.sub(version, "", text) for text in found[0]], f"{cipher} {options}")


# Lines and how many records there are when the mapping is made and removed, or refused.
AUDITED = [
    ("aes-xts-plain64 KEY 0 DEV 0", 2),
    ("aes-xts-plain64 KEY 0 DEV 0 1 sector_size:4096", 2),
    ("aes-xts-plain64 KEY 0 DEV x", 2),
    ("aes-xts-plain64 KEY 0 DEV 0 1 nosuch", 2),
    ("aes-cbc-nosuch " + "00" * 32 + " 0 DEV 0", 2),
    ("nosuch-cbc-plain " + "00" * 32 + " 0 DEV 0", 2),
    ("aes-xts-plain64 00 0 DEV 0", 2),
    ("aes-xts-plain64 KEY 0 999:999 0", 2),
    ("aes-xts-plain64 KEY 0 DEV", 0),
    ("aes-xts-plain64 :x:user:dcb 0 DEV 0", 0),
    ("aes-xts-plain64 :64:user:dcb:nosuch 0 DEV 0", 2),
]


@tap.test("audit records of tables made, refused and dropped are stock's but for the module's name")
def test_audit(test):
    backing = test.enter(blockdev.NullBlk(4))
    records = test.enter(audit.Audit())
    log = test.enter(kernel.Log())
    for text, count in AUDITED:
        params = text.replace("KEY", KEY).replace("DEV", backing.dev)
        found = []
        for target in BOTH:
            cases.judge(params, 64, target, log)
            # Another mapping's records say that there are no more of this one.
            cases.judge(line(backing), 8, dm.STOCK, log)
            seen = records.read(count + 2)
            test.equal(len(seen), count + 2, f"{target}: records of {text}")
            found.append(seen[:count])
        module = f"module={dm.TARGET} "
        test.check(all(record.startswith(module) for _, record in found[1]), f"{found[1]}")
        test.equal([(kind, as_stock(record)) for kind, record in found[1]], found[0], text)


if __name__ == "__main__":
    kernel.load_targets()
    kernel.hurry_rcu()
    tap.main()
