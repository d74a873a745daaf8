# SPDX-License-Identifier: GPL-2.0
"""Device-mapper for the suites: by its ioctls, and by dmsetup where its output is the point.

The ioctls give the errno as it is and take a millisecond, where a process takes a tenth of a second
in an emulated machine: the suites build and drop some thousand tables.
"""

import errno
import fcntl
import itertools
import os
import struct
import subprocess
import time

# The target under test, and the one that judges it.  Comparing stock with stock proves the suite.
TARGET = os.environ.get("DCB_TARGET", "crypt-bulk")
STOCK = "crypt"

_HEADER = struct.Struct("=3I I I I i I I I Q 128s 129s 7x")
_SPEC = struct.Struct("=Q Q i I 16s")

_CREATE, _REMOVE, _SUSPEND, _STATUS, _LOAD, _CLEAR = 3, 4, 6, 7, 9, 10
_TABLE, _VERSIONS, _MESSAGE = 12, 13, 14

_F_SUSPEND = 1 << 1
_F_STATUS_TABLE = 1 << 4
_F_BUFFER_FULL = 1 << 8
_F_SKIP_LOCKFS = 1 << 10
_F_NOFLUSH = 1 << 11
_F_QUERY_INACTIVE = 1 << 12
_F_SECURE_DATA = 1 << 15
_F_DATA_OUT = 1 << 16
_F_DEFERRED = 1 << 17

# "Udev: leave this device alone" (disk, other and subsystem rules, symlinks): an open by blkid
# would make a remove fail.
_UDEV_QUIET = 0x1F << 16

_numbers = itertools.count()
_control = None


def _command(number, buffer):
    """The bare ioctl, in place if the buffer is larger than 1024 bytes."""
    global _control
    if _control is None:
        if not os.path.exists("/dev/mapper/control"):
            subprocess.run(["modprobe", "dm-mod"], check=True)
            subprocess.run(["dmsetup", "mknodes"], check=True)
        _control = os.open("/dev/mapper/control", os.O_RDWR)
    # _IOWR(0xfd, number, struct dm_ioctl)
    fcntl.ioctl(_control, (3 << 30) | (_HEADER.size << 16) | (0xFD << 8) | number, buffer)


def _ioctl(command, name, flags=0, payload=b"", size=16384, event=0):
    """One ioctl: (flags, device number, target count, open count, payload of the answer)."""
    count = payload[0] if payload else 0
    body = payload[1] if payload else b""
    total = max(size, _HEADER.size + len(body))
    buffer = bytearray(total)
    _HEADER.pack_into(buffer, 0, 4, 0, 0, total, _HEADER.size, count, 0, flags, event, 0, 0,
                      name.encode(), b"")
    buffer[_HEADER.size:_HEADER.size + len(body)] = body
    _command(command, buffer)
    fields = _HEADER.unpack_from(buffer)
    if fields[7] & _F_BUFFER_FULL:
        return _ioctl(command, name, flags, payload, size * 4, event)
    return fields[7], fields[10], fields[5], fields[6], bytes(buffer[fields[4]:fields[3]])


def _pack_table(table):
    body = b""
    for start, length, target, params in table:
        text = params.encode() + b"\0"
        text += b"\0" * (-len(text) % 8)
        body += _SPEC.pack(start, length, 0, _SPEC.size + len(text), target.encode()) + text
    return len(table), body


def unique(prefix="dcb"):
    return f"{prefix}{next(_numbers)}"


def create(name):
    """A device without a table; its number."""
    return _ioctl(_CREATE, name)[1]


def load(name, table):
    """Load (start, length, target, parameters) tuples into the inactive slot; the device number."""
    payload = _pack_table(table)
    return _ioctl(_LOAD, name, 0, payload, _HEADER.size + len(payload[1]) + 64)[1]


def clear(name):
    _ioctl(_CLEAR, name)


def suspend(name, flush=True):
    _ioctl(_SUSPEND, name, _F_SUSPEND | _F_SKIP_LOCKFS | (0 if flush else _F_NOFLUSH))


def resume(name):
    _ioctl(_SUSPEND, name, 0, event=_UDEV_QUIET)


def exists(name):
    try:
        _ioctl(_STATUS, name)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return False
        raise
    return True


def remove(name, timeout=20, deferred=False):
    """Remove; a holder who leaves within the time (udev, a closing process) does no harm."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            _ioctl(_REMOVE, name, _F_DEFERRED if deferred else 0, event=_UDEV_QUIET)
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def status(name, table=True, inactive=False):
    """What the target prints: a list of (start, length, target, text)."""
    flags = (_F_STATUS_TABLE if table else 0) | (_F_QUERY_INACTIVE if inactive else 0)
    flags |= _F_NOFLUSH
    _, _, count, _, body = _ioctl(_TABLE, name, flags)
    found = []
    offset = 0
    for _ in range(count):
        start, length, _, following, target = _SPEC.unpack_from(body, offset)
        text = body[offset + _SPEC.size:body.index(b"\0", offset + _SPEC.size)]
        found.append((start, length, target.rstrip(b"\0").decode(), text.decode()))
        offset = following
    return found


def message(name, text, sector=0):
    """Send a message; what the target answers, if it does."""
    payload = (0, struct.pack("=Q", sector) + text.encode() + b"\0")
    flags, *_, body = _ioctl(_MESSAGE, name, 0, payload)
    return body.partition(b"\0")[0].decode() if flags & _F_DATA_OUT else None


def stats(name):
    """What a mapping of crypt-bulk says that it has done and holds: numbers by their names."""
    lines = message(name, "stats").splitlines()
    return {word: int(number) for word, number in (line.split() for line in lines)}


def _in_place(command, name, count, flags, spec, characters):
    """An ioctl with a text given as numbers: it is in one buffer of this process, then nowhere."""
    buffer = bytearray(16384)
    _HEADER.pack_into(buffer, 0, 4, 0, 0, len(buffer), _HEADER.size, count, 0, flags, 0, 0, 0,
                      name.encode(), b"")
    start = _HEADER.size + len(spec)
    buffer[_HEADER.size:start] = spec
    # Behind the text a zero ends it.
    for at, character in enumerate(characters, start):
        buffer[at] = character
    try:
        _command(command, buffer)
    finally:
        buffer[:] = bytes(len(buffer))


def message_in_place(name, characters):
    """A message of which no copy stays in this process."""
    _in_place(_MESSAGE, name, 0, 0, struct.pack("=Q", 0), characters)


def load_in_place(name, sectors, target, characters):
    """Load a table of one target, of whose line neither this process nor dm keeps a copy."""
    spec = _SPEC.pack(0, sectors, 0, 0, target.encode())
    _in_place(_LOAD, name, 1, _F_SECURE_DATA, spec, characters)


def versions():
    """The registered targets: name to (major, minor, patch)."""
    body = _ioctl(_VERSIONS, "")[4]
    found = {}
    offset = 0
    while True:
        following, *version = struct.unpack_from("=4I", body, offset)
        name = body[offset + 16:body.index(b"\0", offset + 16)].decode()
        found[name] = tuple(version)
        if not following:
            return found
        offset += following


class Mapping:
    """A live mapping for a with statement: the table loaded and resumed, removed at the end."""

    def __init__(self, table, name=None):
        self.name = name or unique()
        create(self.name)
        try:
            self.number = load(self.name, table)
            resume(self.name)
        except OSError:
            remove(self.name)
            raise
        minor = os.minor(self.number)
        self.path = f"/dev/dm-{minor}"
        self.sysfs = f"/sys/block/dm-{minor}"
        self.dev = f"{os.major(self.number)}:{minor}"

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        if exists(self.name):
            remove(self.name)

    def line(self):
        """The parameters that the first target prints."""
        return status(self.name)[0][3]

    def reload(self, table):
        load(self.name, table)
        suspend(self.name)
        resume(self.name)


def crypt(line, sectors, target=TARGET, name=None):
    """A mapping of one crypt target."""
    return Mapping([(0, sectors, target, line)], name)


def dmsetup(*args, table=None, check=False):
    """Run dmsetup without udev; a table comes by stdin, so a key is in no process list."""
    return subprocess.run(["dmsetup", "--noudevsync", "--noudevrules", *args], input=table,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=check)
