#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""crypt-bulk convert: the other target for mappings in use, and what happens when that fails."""

import contextlib
import os
import signal
import subprocess
import tempfile
import threading

import blockdev
import cli
import dm
import fio
import kernel
import load
import tap
import volumes

NAME = volumes.Volume.NAME
PATH = volumes.Volume.PATH
SECRET = b"a passphrase"
BULK, STOCK = "crypt-bulk", "crypt"
MIB = 1 << 20

# How cryptsetup opens a volume, and what it takes besides --to to convert back and forth
VOLUMES = [
    ("LUKS1", 1, [], []),
    ("LUKS2", 2, [], []),
    ("LUKS2 with the key in the table", 2, [], ["--disable-keyring"]),
    ("LUKS2 with 4096-byte sectors and flags", 2, ["--sector-size", "4096"],
     ["--allow-discards", "--perf-no_read_workqueue"]),
    ("authenticated LUKS2", 2, ["--integrity", "hmac-sha256"], []),
]


def luks(test, *options, version=2, mib=4):
    volume = volumes.luks(test.enter(blockdev.NullBlk(mib)), *options, version=version)
    volume.create()
    volumes.forget(test)
    return volume


@contextlib.contextmanager
def opened(test, volume, *options):
    """Opened by cryptsetup, and closed by us: cryptsetup does not close every target."""
    volume.open(*options)
    yield
    cli.ok(test, "close", NAME)


def target():
    return dm.status(NAME)[0][2]


def convert(test, to, *options, status=0, secret=SECRET, **how):
    return cli.expect(test, status, "convert", NAME, "--to", to, *options, secret=secret, **how)[1]


def no_probes(test):
    names = dm.dmsetup("ls").stdout
    test.check("probe" not in names, f"no private mapping stays: {names}")


def untouched(test, before, written):
    """The mapping is what it was, and works."""
    test.equal(dm.status(NAME), before, "table")
    no_probes(test)
    info = dm.dmsetup("info", "-c", "--noheadings", "-o", "tables_loaded,suspended", NAME).stdout
    test.equal(info.strip(), "Live:Active", "tables, and state")
    test.equal(volumes.digest(PATH), written, "data")


@tap.each("there and back: {0}", VOLUMES, sample=2)
def test_volume(test, _title, version, formatting, opening):
    volume = luks(test, *formatting, version=version)
    with opened(test, volume, *opening):
        first = dm.status(NAME)
        # A conversion asks for a passphrase where the key is in the keyring, and nowhere else.
        keyring = ":logon:" in first[0][3]
        written = volumes.fill(PATH)
        convert(test, BULK, secret=SECRET if keyring else b"")
        test.equal(target(), BULK, "target")
        line = dm.status(NAME)[0][3].split()
        test.check(line[1].startswith(":"), f"the key is in the keyring: {line}")
        test.equal(line[2:], first[0][3].split()[2:], "the rest of the line")
        test.equal(volumes.digest(PATH), written, "what stock wrote")
        written = volumes.fill(PATH)
        said = convert(test, BULK, secret=b"")
        test.check("already" in said, f"again: {said}")
        convert(test, STOCK, status=cli.NO_PERMISSION, secret=b"wrong")
        test.equal(target(), BULK, "target after a wrong passphrase")
        convert(test, STOCK)
        test.equal(target(), STOCK, "target")
        if "--disable-keyring" not in opening:
            key_is = dm.dmsetup("table", NAME).stdout.split()[4].startswith(":")
            test.equal(key_is, keyring, "the key is where cryptsetup had it")
            test.equal(cli.status(test, NAME)["options"], first[0][3].split()[6:], "options")
        test.equal(volumes.digest(PATH), written, "what bulk wrote")
        no_probes(test)
        # It is cryptsetup's again: this fails for a mapping it does not know.
        volumes.cryptsetup("refresh", *opening, "--key-file", "-", NAME, secret=SECRET)
        test.equal(volumes.digest(PATH), written, "data after cryptsetup refresh")


@tap.test("there and back: plain, with its passphrase, and the key from a file")
def test_plain(test):
    device = test.enter(blockdev.NullBlk(4))
    options = ["--type", "plain", "--cipher", "aes-xts-plain64", "--key-size", "256", "--hash",
               "sha256"]
    volume = volumes.Volume(device, ["--batch-mode", *options, "--skip", "100"], SECRET)
    volumes.forget(test)
    with opened(test, volume):
        key = dm.status(NAME)[0][3].split()[1]
        before = dm.status(NAME)
        written = volumes.fill(PATH)
        convert(test, BULK, secret=b"")
        convert(test, STOCK, status=cli.WRONG_USE)
        said = convert(test, STOCK, "--hash", "sha256", status=cli.NO_PERMISSION, secret=b"wrong")
        test.check("not the key" in said, f"says why: {said}")
        convert(test, STOCK, "--hash", "sha256")
        untouched(test, before, written)
        convert(test, BULK, secret=b"")
        with tempfile.NamedTemporaryFile() as file:
            file.write(bytes.fromhex(key))
            file.flush()
            convert(test, STOCK, "--volume-key-file", file.name, secret=b"")
        untouched(test, before, written)


@tap.test("a header of its own, and one that is another volume's")
def test_header(test):
    header = test.enter(blockdev.NullBlk(4))
    volume = luks(test, "--header", header.path)
    other = test.enter(blockdev.NullBlk(4))
    volumes.luks(other).create()
    with opened(test, volume, "--header", header.path):
        written = volumes.fill(PATH)
        before = dm.status(NAME)
        convert(test, BULK, status=cli.WRONG_USE)
        said = convert(test, BULK, "--header", other.path, status=cli.WRONG_USE)
        test.check("UUID" in said, f"says why: {said}")
        untouched(test, before, written)
        convert(test, BULK, "--header", header.path)
        test.equal((target(), volumes.digest(PATH)), (BULK, written), "target and data")


@tap.test("a read-only mapping stays one")
def test_readonly(test):
    volume = luks(test)
    with opened(test, volume, "--readonly"):
        convert(test, BULK)
        test.equal(target(), BULK, "target")
        test.raises(OSError, 1, blockdev.write, PATH, 0, bytes(4096))


@tap.test("mounted, with files being written")
def test_mounted(test):
    volume = luks(test, mib=32)
    root = "/tmp/dcb-mnt"
    os.makedirs(root, exist_ok=True)
    with opened(test, volume):
        subprocess.run(["mkfs.ext4", "-q", PATH], check=True)
        subprocess.run(["mount", PATH, root], check=True)
        try:
            end, files, errors = threading.Event(), {}, []

            def work():
                try:
                    while not end.is_set():
                        number = len(files) % 40
                        data = os.urandom(65536)
                        with open(f"{root}/{number}", "wb") as file:
                            file.write(data)
                            os.fsync(file.fileno())
                        files[number] = data
                except Exception as error:
                    errors.append(repr(error))

            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            for to in (BULK, STOCK, BULK):
                convert(test, to)
                test.equal(target(), to, "target")
            end.set()
            thread.join(60)
            test.equal(errors, [], "errors of the writer")
            test.check(files, "files were written")
            kernel.settle()
            for number, data in files.items():
                with open(f"{root}/{number}", "rb") as file:
                    test.check(file.read() == data, f"file {number}")
        finally:
            subprocess.run(["umount", root], check=True)
        check = subprocess.run(["e2fsck", "-fn", PATH], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        test.equal(check.returncode, 0, f"e2fsck: {check.stdout}")


class Path:
    """What the load of tests/lib wants to know of a mapping."""
    path = PATH


@tap.test("under fio, which verifies what it wrote")
def test_fio(test):
    volume = luks(test, mib=32)
    with opened(test, volume):
        done = threading.Event()

        def verify():
            try:
                fio.verify(test, Path, rw="randwrite", bsrange="4k-256k", iodepth=8, size="16m",
                           loops=3)
            finally:
                done.set()

        turns = []

        def turn():
            # Each holds up fio for a while: without an end there would be none on a busy machine.
            while not done.is_set() and len(turns) < 6:
                for to in (BULK, STOCK):
                    convert(test, to)
                    turns.append(to)
        test.threads([verify, turn])
        tap.diag(f"{len(turns)} conversions meanwhile")
        test.check(len(turns) >= 2, "there were conversions meanwhile")


@tap.test("under writers and readers that look at what they read")
def test_load(test):
    volume = luks(test, mib=8)
    with opened(test, volume), load.Load(test, PATH, count=3) as running:
        for to in (BULK, STOCK, BULK):
            convert(test, to)
            test.equal(target(), to, "target")
            running.progress()


@tap.each("nothing is changed when {0}", [
    ("the load fails", f"{NAME}:{cli.LOAD}:1:12", 3),
    ("the resume fails, not done", f"{NAME}:{cli.RESUME}:1:5", 1),
    ("the resume fails, and leaves it suspended", f"{NAME}:{cli.RESUME}:1:suspend", 1),
    ("the resume fails, done", f"{NAME}:{cli.RESUME}:1:-5", 1),
    ("what is read afterwards is wrong", f"{NAME}:{cli.RESUME}:1:spoil", 1),
    ("the first private mapping fails", f"crypt-bulk-probe*:{cli.LOAD}:1:12", 3),
    ("the second private mapping fails", f"crypt-bulk-probe*:{cli.LOAD}:2:12", 3),
    ("the private mapping reads something else", f"crypt-bulk-probe*:{cli.RESUME}:2:spoil", 1),
], sample=3)
def test_failure(test, _title, fault, status):
    volume = luks(test)
    for first, second in ((STOCK, BULK), (BULK, STOCK)):
        with opened(test, volume):
            if first == BULK:
                convert(test, BULK)
            written = volumes.fill(PATH)
            before = dm.status(NAME)
            said = convert(test, second, status=status, fault=fault)
            test.check(said.strip(), "says so")
            untouched(test, before, written)
            # And it is not for good.
            convert(test, second)
            test.equal((target(), volumes.digest(PATH)), (second, written), "target and data")


@tap.test("a table that decrypts otherwise is found out: another key, another IV")
def test_probe(test):
    device = test.enter(blockdev.NullBlk(4))
    key, other = os.urandom(64).hex(), os.urandom(64)
    line = f"aes-xts-plain64 {key} 0 {device.dev} 8"
    with dm.Mapping([(0, 4096, BULK, line)]) as mapping, tempfile.NamedTemporaryFile() as file:
        for data in (other, bytes.fromhex(key)):
            file.seek(0)
            file.write(data)
            file.flush()
            status = cli.NO_PERMISSION if data == other else 0
            cli.expect(test, status, "convert", mapping.name, "--to", STOCK, "--key-size", "512",
                       "--volume-key-file", file.name)
            wanted = BULK if data == other else STOCK
            test.equal(dm.status(mapping.name)[0][2], wanted, "target")
    no_probes(test)


@tap.each("what someone else does while the passphrase is typed: {0}", [
    ("resize", lambda volume: volumes.cryptsetup("resize", "--size", "2048", "--key-file", "-",
                                                 NAME, secret=SECRET)),
    ("luksSuspend", lambda volume: volumes.cryptsetup("luksSuspend", NAME)),
    ("remove", lambda volume: volume.close()),
], sample=2)
def test_meanwhile(test, what, do):
    volume = luks(test)
    volume.open()
    with cli.Running("convert", NAME, "--to", BULK) as running:
        test.require(running.wait_for("S"), "it waits for the passphrase")
        kernel.settle()
        do(volume)
        before = dm.dmsetup("table", NAME).stdout, dm.dmsetup("info", NAME).stdout
        running.type(SECRET + b"\n")
        running.close_input()
        test.check(running.process.wait(100) != 0, "it does not succeed")
        said = running.process.stderr.read().decode()
    test.equal((dm.dmsetup("table", NAME).stdout, dm.dmsetup("info", NAME).stdout), before,
               f"the mapping after {what}")
    no_probes(test)
    if what != "remove":
        test.check("changed by someone else" in said, f"says why: {said}")
        dm.remove(NAME)


@tap.each("a signal that comes {0} takes nothing away with it", [
    ("before the first private mapping", f"crypt-bulk-probe*:{cli.CREATE}:1:stop", STOCK),
    ("at the first private mapping", f"crypt-bulk-probe*:{cli.RESUME}:1:stop", STOCK),
    ("at the second private mapping", f"crypt-bulk-probe*:{cli.RESUME}:2:stop", STOCK),
    ("at the load", f"{NAME}:{cli.LOAD}:1:stop", BULK),
    ("at the resume", f"{NAME}:{cli.RESUME}:1:stop", BULK),
], sample=3)
def test_signal(test, _title, fault, wanted):
    volume = luks(test)
    with opened(test, volume):
        written = volumes.fill(PATH)
        with cli.Running("convert", NAME, "--to", BULK, fault=fault) as running:
            running.type(SECRET + b"\n")
            test.require(running.wait_for("T"), "it got there")
            running.process.send_signal(signal.SIGINT)
            running.go_on()
            test.equal(running.process.wait(100), -signal.SIGINT, "ended by the signal")
            said = running.process.stderr.read().decode() + running.process.stdout.read().decode()
        test.check(said.strip(), "says what became of it")
        test.equal((target(), volumes.digest(PATH)), (wanted, written), "target and data")
        no_probes(test)


@tap.test("what a conversion that was killed left is removed by the next one")
def test_killed(test):
    volume = luks(test)
    with opened(test, volume):
        with cli.Running("convert", NAME, "--to", BULK,
                         fault=f"{NAME}:{cli.LOAD}:1:stop") as running:
            running.type(SECRET + b"\n")
            test.require(running.wait_for("T"), "it got there")
            running.process.kill()
            running.process.wait(60)
        test.check("crypt-bulk-probe" in dm.dmsetup("ls").stdout, "it left private mappings")
        convert(test, BULK)
        test.equal(target(), BULK, "target")
        no_probes(test)


@tap.test("what cannot be converted is refused")
def test_refused(test):
    device = test.enter(blockdev.NullBlk(4))
    key = os.urandom(64).hex()
    line = f"aes-xts-plain64 {key} 0 {device.dev}"
    with dm.Mapping([(0, 8, STOCK, f"{line} 0"), (8, 8, STOCK, f"{line} 8")]) as mapping:
        said = cli.expect(test, cli.WRONG_USE, "convert", mapping.name)[1]
        test.check("segments" in said, f"says why: {said}")
    with dm.crypt(f"{line} 0", 8, STOCK) as mapping:
        dm.suspend(mapping.name)
        said = cli.expect(test, cli.WRONG_USE, "convert", mapping.name)[1]
        test.check("suspended" in said, f"says why: {said}")
        dm.resume(mapping.name)
        cli.expect(test, cli.WRONG_USE, "convert", mapping.name, "--to", "linear")
        test.equal(dm.status(mapping.name)[0][2], STOCK, "target")


@tap.test("a mapping without a key")
def test_no_key(test):
    device = test.enter(blockdev.NullBlk(4))
    with dm.crypt(f"cipher_null-ecb - 0 {device.dev} 0", 4096, STOCK) as mapping:
        for to in (BULK, STOCK):
            cli.ok(test, "convert", mapping.name, "--to", to)
            test.equal(dm.status(mapping.name)[0][2], to, "target")


@tap.test("memory: neither passphrase nor key are left when the table has been changed")
def test_memory(test):
    volume = luks(test, version=1)
    volume.secret = os.urandom(12).hex().encode()
    volume.create()
    with opened(test, volume), contextlib.ExitStack() as stack:
        key = dm.status(NAME)[0][3].split()[1]
        convert(test, BULK, secret=b"")
        running = stack.enter_context(
            cli.Running("convert", NAME, "--to", STOCK, fault=f"{NAME}:{cli.RESUME}:1:exit"))
        running.type(volume.secret + b"\n")
        test.require(running.wait_for("T"), "it came to its end")
        for what, secret in (("passphrase", volume.secret), ("key", bytes.fromhex(key)),
                             ("digits", key.encode())):
            test.equal(running.holders(secret), [], f"memory with the {what}")
        running.go_on()
        test.equal(running.process.wait(60), 0, "exit status")
        test.equal(target(), STOCK, "target")


if __name__ == "__main__":
    kernel.hurry_rcu()
    kernel.open_crypto_api()
    kernel.modprobe("dm-crypt-bulk")
    tap.main()
