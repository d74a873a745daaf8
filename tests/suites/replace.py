#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""replace_stock: the module takes the name crypt when told to and when it is free, or not at all.

That programs which know only that name then work on it is the suite cryptsetup's to prove.
"""

import subprocess

import blockdev
import cases
import dm
import kernel
import tap

MODULE = kernel.MODULES["crypt-bulk"]
STOCK_MODULE = kernel.MODULES[dm.STOCK]
NAMES = {dm.STOCK, "crypt-bulk"}
KEY = cases.key(64)
HINT = "crypt is already registered: unload dm_crypt first (modprobe -r dm-crypt)"


def line(device):
    return cases.line("aes-xts-plain64", KEY, 0, device.dev)


def unload(test):
    for name in (MODULE, STOCK_MODULE):
        if kernel.loaded(name):
            run = kernel.rmmod(name)
            test.require(run.returncode == 0, f"rmmod {name}: {run.stderr}")
    test.require(not NAMES & set(dm.versions()), "no crypt target is left")


def load(test, *parameters):
    """The module loaded into a kernel without a crypt target, unloaded at the end."""
    unload(test)
    kernel.modprobe(MODULE, *parameters)
    test.defer(unload, test)


@tap.test("off by default, and not to be changed later")
def test_default(test):
    load(test)
    test.equal(kernel.parameter("replace_stock", module=MODULE), "N", "the parameter")
    test.equal(NAMES & set(dm.versions()), {"crypt-bulk"}, "registered targets")
    # Root may write to a file that nobody may write to; what counts is that the kernel refuses.
    with open(f"/sys/module/{MODULE}/parameters/replace_stock") as file:
        test.equal(file.read(), "N\n", "the file can be read")
    try:
        kernel.parameter("replace_stock", "Y", MODULE)
        test.fail("the parameter could be written")
    except OSError:
        pass
    # With the name still free, stock comes and works beside it.
    kernel.modprobe(STOCK_MODULE)
    test.equal(NAMES & set(dm.versions()), NAMES, "registered targets with dm_crypt")


@tap.test("on, the module is both targets, in one version")
def test_both(test):
    load(test, "replace_stock=1")
    versions = dm.versions()
    test.equal(NAMES & set(versions), NAMES, "registered targets")
    test.equal(versions[dm.STOCK], versions["crypt-bulk"], "versions")
    test.check(not kernel.loaded(STOCK_MODULE), "dm_crypt is not loaded")
    backing = test.enter(blockdev.NullBlk(4))
    data = bytes(range(256)) * 256
    for writer, reader in ((dm.STOCK, "crypt-bulk"), ("crypt-bulk", dm.STOCK)):
        with dm.crypt(line(backing), backing.sectors, writer) as mapping:
            test.equal(kernel.users(MODULE), 1, f"users of the module with one {writer} mapping")
            test.equal(dm.status(mapping.name)[0][2], writer, "target in the table")
            blockdev.write(mapping.path, 0, data)
        with dm.crypt(line(backing), backing.sectors, reader) as mapping:
            test.check(blockdev.read(mapping.path, 0, len(data)) == data,
                       f"{reader} reads what {writer} wrote")
        data = data[::-1]


@tap.test("the version's features, which cryptsetup takes for granted, are there on this kernel")
def test_version(test):
    kernel.modprobe(STOCK_MODULE)
    stock = dm.versions()[dm.STOCK]
    load(test, "replace_stock=1")
    test.equal(dm.versions()[dm.STOCK], max(stock, (1, 28, 0)), "version")
    backing = test.enter(blockdev.NullBlk(4))
    options = ["high_priority", "no_read_workqueue", "no_write_workqueue"]
    with kernel.Log() as log:
        verdict = cases.judge(f"{line(backing)} 3 {' '.join(options)}", 8, dm.STOCK, log)
        test.equal(verdict.errno, 0, f"{options}: {verdict}")
        # As far as the device, which keeps no metadata, lets it come.
        verdict = cases.judge(
            f"capi:authenc(hmac(sha256),xts(aes))-plain64 {cases.key(96)} 0 {backing.dev} 0"
            " 2 integrity:32:aead integrity_key_size:32", 8, dm.STOCK, log)
        test.equal(verdict.text, "Integrity profile not supported.", "integrity_key_size")


@tap.test("on, dm_crypt cannot be loaded, and harms nothing by trying")
def test_stock_kept_out(test):
    load(test, "replace_stock=1")
    backing = test.enter(blockdev.NullBlk(4))
    with dm.crypt(line(backing), backing.sectors, dm.STOCK) as mapping:
        # Some kernels answer with an error that modprobe takes for success: see what is loaded.
        kernel.modprobe(STOCK_MODULE, check=False)
        test.check(not kernel.loaded(STOCK_MODULE), "dm_crypt is not loaded")
        test.equal(kernel.users(MODULE), 1, "users of the module")
        blockdev.write(mapping.path, 0, b"x" * 4096)
        test.check(blockdev.read(mapping.path, 0, 4096) == b"x" * 4096, "the mapping works on")


@tap.test("with the name taken loading fails, says what to do, and leaves nothing behind")
def test_taken(test):
    unload(test)
    kernel.modprobe(STOCK_MODULE)
    test.defer(unload, test)
    before = dm.versions()
    backing = test.enter(blockdev.NullBlk(4))
    with dm.crypt(line(backing), backing.sectors, dm.STOCK) as mapping, kernel.Log() as log:
        blockdev.write(mapping.path, 0, b"x" * 4096)
        table = mapping.line()
        run = kernel.modprobe(MODULE, "replace_stock=1", check=False)
        test.check(run.returncode, "modprobe fails")
        messages = log.read()
        test.check(any(message.endswith(HINT) for message in messages), f"the log: {messages}")
        test.check(not kernel.loaded(MODULE), "the module is not loaded")
        test.equal(dm.versions(), before, "registered targets")
        test.equal(mapping.line(), table, "stock's mapping keeps its table")
        test.check(blockdev.read(mapping.path, 0, 4096) == b"x" * 4096, "and works on")
    # What the message says helps.
    run = kernel.modprobe("-r", "dm-crypt", check=False)
    test.equal(run.returncode, 0, f"modprobe -r dm-crypt: {run.stderr}")
    kernel.modprobe(MODULE, "replace_stock=1")
    test.equal(NAMES & set(dm.versions()), NAMES, "registered targets in the end")


@tap.test("a mapping named crypt shows its key as stock does, whatever hide_keys says")
def test_keys(test):
    load(test, "replace_stock=1")
    backing = test.enter(blockdev.NullBlk(4))
    for hide in "YN":
        kernel.parameter("hide_keys", hide, MODULE)
        with dm.crypt(line(backing), backing.sectors, dm.STOCK) as mapping:
            shown = dm.dmsetup("table", "--showkeys", mapping.name, check=True).stdout
            test.check(f" {KEY} " in shown, f"hide_keys={hide}: --showkeys shows the key")
            plain = dm.dmsetup("table", mapping.name, check=True).stdout
            test.check(f" {'0' * len(KEY)} " in plain, f"hide_keys={hide}: table hides it: {plain}")
        with dm.crypt(line(backing), backing.sectors, "crypt-bulk") as mapping:
            shown = dm.dmsetup("table", "--showkeys", mapping.name, check=True).stdout
            wanted = " - " if hide == "Y" else f" {KEY} "
            test.check(wanted in shown, f"hide_keys={hide}: crypt-bulk has{wanted}: {shown}")


@tap.test("not unloaded while a mapping of either name, live or not, is there")
def test_busy(test):
    load(test, "replace_stock=1")
    backing = test.enter(blockdev.NullBlk(4))
    for target in sorted(NAMES):
        with dm.crypt(line(backing), backing.sectors, target) as mapping:
            run = kernel.rmmod(MODULE)
            test.check(run.returncode and "in use" in run.stderr, f"rmmod: {run.stderr}")
            test.equal(NAMES & set(dm.versions()), NAMES, "registered targets")
            blockdev.write(mapping.path, 0, b"x" * 4096)
            test.check(blockdev.read(mapping.path, 0, 4096) == b"x" * 4096, "it works on")
        name = dm.unique()
        dm.create(name)
        dm.load(name, [(0, 8, target, line(backing))])
        test.equal(kernel.users(MODULE), 1, f"users with an inactive table of {target}")
        dm.remove(name)
    test.equal(kernel.users(MODULE), 0, "users at the end")


@tap.test("whoever asks for the target crypt gets stock, with the module installed and not loaded")
def test_autoload(test):
    unload(test)
    test.defer(unload, test)
    aliases = subprocess.run(["modprobe", "--resolve-alias", "dm-crypt"], check=True,
                             stdout=subprocess.PIPE, text=True).stdout.split()
    test.equal(aliases, [STOCK_MODULE], "modules that dm-crypt means")
    backing = test.enter(blockdev.NullBlk(4))
    with dm.crypt(line(backing), backing.sectors, dm.STOCK):
        test.check(kernel.loaded(STOCK_MODULE), "dm_crypt was loaded")
        test.check(not kernel.loaded(MODULE), "the module was not")


@tap.test("loaded and unloaded under both names 10 times, with a mapping of each in between")
def test_cycles(test):
    backing = test.enter(blockdev.NullBlk(4))
    for number in range(10):
        load(test, f"replace_stock={number % 2}")
        for target in sorted(NAMES & set(dm.versions())):
            with dm.crypt(line(backing), backing.sectors, target):
                test.equal(kernel.users(MODULE), 1, "users of the module")
        unload(test)


if __name__ == "__main__":
    kernel.hurry_rcu()
    tap.main()
