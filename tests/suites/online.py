#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What cryptsetup does to open volumes, on the module as the target crypt, as on stock."""

import contextlib
import hashlib
import os
import random
import subprocess
import threading

import blockdev
import dm
import kernel
import keyring
import tap
import volumes

MIB = 1 << 20
SLOTS_TO_REENCRYPT = "2016k"


def backing(test, mib=6):
    return test.enter(blockdev.NullBlk(mib))


def like_stock(test, volume, scenario):
    """Run the scenario on stock and on the target under test, with one volume; the same log."""
    volumes.provide(dm.STOCK)
    volume.create()
    logs = []
    for target in (dm.STOCK, dm.TARGET):
        volumes.provide(target)
        logs.append([])
        scenario(logs[-1].append)
    test.equal(len(logs[1]), len(logs[0]), "steps")
    for number, (stock, ours) in enumerate(zip(*logs)):
        test.equal(ours, stock, f"step {number}")


def status_of(*args, secret=b""):
    """Exit status of cryptsetup."""
    try:
        volumes.cryptsetup(*args, secret=secret)
    except volumes.Failed as failed:
        return failed.status
    return 0


SUSPENDED = [
    ("LUKS1", [], 1, []),
    ("LUKS2", [], 2, []),
    ("LUKS2 with the key in the table", [], 2, ["--disable-keyring"]),
    ("LUKS2 with hmac-sha256", ["--integrity", "hmac-sha256"], 2, []),
]


@tap.each("luksSuspend and luksResume: {0}", SUSPENDED, sample=2)
def test_suspend(test, _title, options, version, opening):
    volume = volumes.luks(backing(test), *options, version=version)

    def scenario(log):
        with volume.opened(*opening) as path:
            written = volumes.fill(path)
            volumes.cryptsetup("luksSuspend", volume.NAME)
            log(volume.state())
            test.check(tap.poll(lambda: not keyring.described("cryptsetup:")),
                       "no volume key is in a keyring after luksSuspend")
            read = []
            reader = threading.Thread(target=lambda: read.append(volumes.digest(path)))
            reader.start()
            reader.join(0.5)
            test.check(reader.is_alive(), "a read waits while the volume is suspended")
            log(status_of("luksResume", *opening, "--key-file", "-", volume.NAME, secret=b"wrong"))
            log(volume.state())
            test.check(reader.is_alive(), "a read waits after a wrong passphrase")
            volumes.cryptsetup("luksResume", *opening, "--key-file", "-", volume.NAME,
                               secret=volume.secret)
            reader.join(60)
            test.equal(read, [written], "what was read in the end")
            log(volume.state())
    like_stock(test, volume, scenario)


@tap.each("resize: LUKS{0}", [(1,), (2,)], sample=1)
def test_resize(test, version):
    volume = volumes.luks(backing(test), version=version)

    def resize(*options):
        volumes.cryptsetup("resize", "--key-file", "-", *options, volume.NAME,
                           secret=volume.secret)

    def scenario(log):
        with volume.opened() as path:
            written = volumes.fill(path)
            whole = blockdev.read(path, 0, 4 * MIB)
            resize("--size", str(2 * MIB >> 9))
            with blockdev.Direct(path) as device:
                test.equal(device.size(), 2 * MIB, "bytes when small")
            log(volume.state())
            test.equal(volumes.digest(path), hashlib.sha256(whole[:2 * MIB]).hexdigest(),
                       "data when small")
            resize("--device-size", "3M")
            log(volume.state())
            resize()
            log(volume.state())
            test.equal(volumes.digest(path), written, "data in the end")
    like_stock(test, volume, scenario)


@tap.each("refresh with flags: LUKS2 {0}", [(["--disable-keyring"],), ([],)], sample=1)
def test_refresh(test, opening):
    volume = volumes.luks(backing(test))
    flags = ["--allow-discards", "--perf-same_cpu_crypt", "--perf-submit_from_crypt_cpus",
             "--perf-no_read_workqueue", "--perf-no_write_workqueue"]

    def refresh(*options):
        volumes.cryptsetup("refresh", *opening, "--key-file", "-", *options, volume.NAME,
                           secret=volume.secret)

    def scenario(log):
        with volume.opened(*opening) as path:
            written = volumes.fill(path)
            for flag in flags:
                refresh(flag)
                log(volume.state())
                test.equal(volumes.digest(path), written, f"data with {flag}")
            refresh(*flags)
            test.equal(dm.status(volume.NAME)[0][3].split()[5:],
                       ["5", "allow_discards", "same_cpu_crypt", "submit_from_crypt_cpus",
                        "no_read_workqueue", "no_write_workqueue"], "options in the table")
            log(volume.state())
            written = volumes.fill(path)
            refresh("--persistent", *flags[:3])
        with volume.opened(*opening) as path:
            log(volume.state())
            test.equal(volumes.digest(path), written, "data in the end")
            refresh("--persistent")
            log(volume.state())
    like_stock(test, volume, scenario)


REENCRYPT = ["reencrypt", "--batch-mode", "--key-file", "-", *volumes.QUICK_KDF]
# What the new volume is to be, and how a crash would be survived.
REENCRYPTED = [
    ("new key, checksums", ["--resilience", "checksum"]),
    ("other cipher, journal", ["--cipher", "aes-cbc-essiv:sha256", "--key-size", "256",
                               "--resilience", "journal"]),
]


class Traffic:
    """Reads and writes of a mapping that go on while something else happens to it."""

    def __init__(self, test, path):
        self.test, self.path = test, path
        self.rounds = 0
        self._end = threading.Event()
        self._errors = []
        with blockdev.Direct(path) as device:
            self.data = bytearray(os.urandom(device.size()))
            for offset in range(0, len(self.data), MIB):
                device.write(offset, self.data[offset:offset + MIB])
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self):
        chosen = random.Random(1)
        try:
            with blockdev.Direct(self.path) as device:
                while not self._end.is_set():
                    size = chosen.choice((4096, 65536, 262144))
                    offset = chosen.randrange(0, len(self.data) - size, 4096)
                    if device.read(offset, size) != self.data[offset:offset + size]:
                        raise AssertionError(f"wrong data: {size} bytes at {offset}")
                    offset = chosen.randrange(0, len(self.data) - 4096, 4096)
                    self.data[offset:offset + 4096] = os.urandom(4096)
                    device.write(offset, self.data[offset:offset + 4096])
                    self.rounds += 1
        except Exception as error:
            self._errors.append(repr(error))

    def digest(self):
        return hashlib.sha256(self.data).hexdigest()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_exc):
        self._end.set()
        self._thread.join(60)
        self.test.check(not self._thread.is_alive(), "the traffic ended")
        self.test.equal(self._errors, [], "errors of the traffic")


@tap.each("reencrypt with reads and writes under way: {0}", REENCRYPTED, sample=1)
def test_reencrypt(test, _title, options):
    volume = volumes.luks(backing(test, 10), slots=SLOTS_TO_REENCRYPT)
    volumes.provide(dm.TARGET)
    volume.create()
    with volume.opened() as path:
        before = dm.status(volume.NAME)
        with Traffic(test, path) as traffic:
            volumes.cryptsetup(*REENCRYPT, *options, "--hotzone-size", "1M", volume.device.path,
                               secret=volume.secret)
            rounds = traffic.rounds
        test.check(rounds > 0, "there was traffic meanwhile")
        tap.diag(f"{rounds} reads and writes meanwhile")
        test.check(dm.status(volume.NAME) != before, "the table is another")
        test.equal(volumes.provider(), dm.TARGET, "target that the volume uses")
        test.equal(volumes.digest(path), traffic.digest(), "data after it")
    volumes.provide(dm.STOCK)
    with volume.opened() as path:
        test.equal(volumes.digest(path), traffic.digest(), "data as stock reads it")


@contextlib.contextmanager
def mounted(path, directory):
    os.makedirs(directory, exist_ok=True)
    subprocess.run(["mount", path, directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)


def write_tree(root, files):
    """Files of random data under root; their digests by name."""
    found = {}
    for number in range(files):
        data = os.urandom(random.randrange(1, 65536))
        name = f"file{number}"
        with open(os.path.join(root, name), "wb") as file:
            file.write(data)
            os.fsync(file.fileno())
        found[name] = hashlib.sha256(data).hexdigest()
    return found


def read_tree(root, names):
    found = {}
    for name in names:
        with open(os.path.join(root, name), "rb") as file:
            found[name] = hashlib.sha256(file.read()).hexdigest()
    return found


@tap.test("reencrypt under a mounted file system")
def test_reencrypt_mounted(test):
    volume = volumes.luks(backing(test, 16), slots=SLOTS_TO_REENCRYPT)
    volumes.provide(dm.TARGET)
    volume.create()
    with volume.opened() as path:
        subprocess.run(["mkfs.ext4", "-q", path], check=True)
        with mounted(path, "/tmp/dcb-mnt") as root:
            files = write_tree(root, 40)
            worker = threading.Thread(
                target=volumes.cryptsetup, args=(*REENCRYPT, "--hotzone-size", "1M",
                                                 volume.device.path),
                kwargs={"secret": volume.secret})
            worker.start()
            os.mkdir(os.path.join(root, "more"))
            more = write_tree(os.path.join(root, "more"), 40)
            worker.join(100)
            test.require(not worker.is_alive(), "it ended")
            test.check("reencrypt" not in volumes.cryptsetup("luksDump", volume.device.path),
                       "it is complete")
        check = subprocess.run(["e2fsck", "-fn", path], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        test.equal(check.returncode, 0, f"e2fsck: {check.stdout}")
    volumes.provide(dm.STOCK)
    with volume.opened() as path, mounted(path, "/tmp/dcb-mnt") as root:
        test.equal(read_tree(root, files), files, "files from before")
        test.equal(read_tree(os.path.join(root, "more"), more), more, "files from meanwhile")


@tap.each("reencrypt begun on {0} and ended on {1}", volumes.DIRECTIONS, sample=1)
def test_reencrypt_switched(test, first, second):
    volume = volumes.luks(backing(test, 16), slots=SLOTS_TO_REENCRYPT)
    volumes.provide(first)
    volume.create()
    with volume.opened() as path:
        written = volumes.fill(path)
        process = subprocess.Popen(
            ["cryptsetup", *REENCRYPT, "--hotzone-size", "128k", "--resilience", "journal",
             volume.device.path],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        process.stdin.write(volume.secret)
        process.stdin.close()
        # Its mapping has a part that is done, one in work and one to do.
        overlay = f"{volume.NAME}-overlay"
        test.require(tap.poll(lambda: dm.exists(overlay) and len(dm.status(overlay)) > 2),
                     "it is under way")
        process.send_signal(2)
        process.wait(60)
        test.require("reencrypt" in volumes.cryptsetup("luksDump", volume.device.path),
                     "it was interrupted before its end")
        test.equal(volumes.digest(path), written, f"data half way, on {first}")
    volumes.provide(second)
    with volume.opened() as path:
        test.equal(volumes.provider(), second, "target that the volume uses")
        test.equal(volumes.digest(path), written, f"data half way, on {second}")
        volumes.cryptsetup(*REENCRYPT, "--resume-only", volume.device.path, secret=volume.secret)
        test.equal(volumes.digest(path), written, f"data in the end, on {second}")
        test.check("reencrypt" not in volumes.cryptsetup("luksDump", volume.device.path),
                   "it is complete")
    volumes.provide(first)
    with volume.opened() as path:
        test.equal(volumes.digest(path), written, f"data in the end, on {first}")


if __name__ == "__main__":
    kernel.hurry_rcu()
    tap.main()
