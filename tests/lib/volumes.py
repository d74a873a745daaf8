# SPDX-License-Identifier: GPL-2.0
"""Encrypted volumes as users have them: cryptsetup itself, unmodified, on either module.

cryptsetup knows the target name crypt alone.  provide() decides which module stands behind that
name: dm_crypt, or the module under test loaded with replace_stock.
"""

import contextlib
import hashlib
import os
import subprocess

import blockdev
import dm
import kernel

# Who writes and who reads; twice stock where stock proves the suite.
DIRECTIONS = ((dm.TARGET, dm.STOCK), (dm.STOCK, dm.TARGET))
# Seconds of key stretching would prove nothing about a target.
QUICK_KDF = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
_CHUNK = 1 << 20


class Failed(Exception):
    """cryptsetup failed: .status is its exit status."""

    def __init__(self, args, run):
        # Arguments hold no secret: these come by standard input.
        super().__init__(f"cryptsetup {' '.join(args)}: status {run.returncode}: "
                         f"{run.stderr.decode(errors='replace').strip()}")
        self.status = run.returncode


def cryptsetup(*args, secret=b""):
    """Run it; its output. A secret goes by standard input."""
    run = subprocess.run(["cryptsetup", *args], input=secret, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, check=False)
    if run.returncode:
        raise Failed(args, run)
    return run.stdout.decode()


def provide(target):
    """From now on this target is what the name crypt means."""
    if dm.STOCK in dm.versions() and kernel.loaded(kernel.MODULES[target]):
        return
    for module in kernel.MODULES.values():
        if kernel.loaded(module):
            run = kernel.rmmod(module)
            if run.returncode:
                raise RuntimeError(f"rmmod {module}: {run.stderr}")
    replace = [] if target == dm.STOCK else ["replace_stock=1"]
    kernel.modprobe(kernel.MODULES[target], *replace)


def provider():
    """The target that the name crypt means: by the module that is loaded, and has users."""
    found = [target for target, module in kernel.MODULES.items()
             if kernel.loaded(module) and kernel.users(module)]
    return found[0] if len(found) == 1 else f"{found} have users"


def fill(path):
    """Random data on the whole device; their digest."""
    found = hashlib.sha256()
    with blockdev.Direct(path) as device:
        size = device.size()
        for offset in range(0, size, _CHUNK):
            data = os.urandom(min(_CHUNK, size - offset))
            device.write(offset, data)
            found.update(data)
        device.sync()
    return found.hexdigest()


def digest(path):
    found = hashlib.sha256()
    with blockdev.Direct(path, os.O_RDONLY) as device:
        size = device.size()
        for offset in range(0, size, _CHUNK):
            found.update(device.read(offset, min(_CHUNK, size - offset)))
    return found.hexdigest()


class Volume:
    """A volume on a device; create and opening are what cryptsetup is told besides the device."""

    NAME = "dcbvol"
    PATH = f"/dev/mapper/{NAME}"

    def __init__(self, device, opening, secret, create=None):
        self.device = device
        self.opening = tuple(opening)
        self.secret = secret
        self._create = create

    def create(self):
        if self._create is not None:
            cryptsetup(*self._create, self.device.path, secret=self.secret)

    def open(self, *options):
        cryptsetup("open", *self.opening, *options, self.device.path, self.NAME,
                   secret=self.secret)

    def close(self):
        cryptsetup("close", self.NAME)

    @contextlib.contextmanager
    def opened(self, *options):
        """The path of the open volume. Whatever happens, nothing stays that holds the module."""
        self.open(*options)
        try:
            yield self.PATH
            self.close()
        finally:
            for name in self.mappings():
                # A mapping left suspended would swallow what its close has to write.
                dm.resume(name)
                dm.remove(name)

    def mappings(self):
        """All mappings that the volume is made of, the uppermost first."""
        names = [line.split("\t")[0] for line in
                 dm.dmsetup("ls", check=True).stdout.splitlines() if "\t" in line]
        return sorted(name for name in names if name.startswith(self.NAME))

    def state(self):
        """What dmsetup and cryptsetup say of it, with the keys."""
        tables = [f"{name}: " + dm.dmsetup("table", "--showkeys", name, check=True).stdout
                  for name in self.mappings()]
        return tables + [cryptsetup("status", self.NAME)]


def forget(test):
    """Whatever happens, no mapping of a volume outlives the test."""
    def remove():
        for name in Volume(None, (), b"").mappings():
            dm.resume(name)
            dm.remove(name)
    test.defer(remove)


def luks(device, *options, version=2, slots="512k"):
    """A LUKS volume; reencryption wants slots for two keys, 2016k."""
    create = ["luksFormat", "--batch-mode", "--type", f"luks{version}", "--key-file", "-",
              *QUICK_KDF, *options]
    if version == 2:
        create += ["--luks2-metadata-size", "16k", "--luks2-keyslots-size", slots]
    return Volume(device, ["--key-file", "-"], b"a passphrase", create)


def both_ways(test, volume):
    """What either target writes the other reads, and both say the same of the open volume."""
    written = state = None
    # Each writes for the next one to read; the last only reads.
    targets = (dm.TARGET, dm.STOCK, dm.TARGET)
    for number, target in enumerate(targets):
        provide(target)
        if written:
            with volume.opened() as path:
                test.equal(provider(), target, "target that the volume uses")
                test.equal(volume.state(), state, f"state with {target} as with the other")
                test.equal(digest(path), written, f"{target} reads what the other wrote")
        if number + 1 < len(targets):
            volume.create()
            with volume.opened() as path:
                test.equal(provider(), target, "target that the volume uses")
                written = fill(path)
                test.equal(digest(path), written, f"{target} reads what it wrote")
                state = volume.state()
