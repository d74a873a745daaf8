# SPDX-License-Identifier: GPL-2.0
"""Table lines that more than one suite uses, and how a table's fate is observed."""

import contextlib
import hashlib
import time

import dm
import kernel

# With these the submitter does all the work itself.
BYPASS = ("submit_from_crypt_cpus", "no_read_workqueue", "no_write_workqueue")
# An asynchronous cipher, after kernel.load_cryptd().
CRYPTD = f"capi:cryptd(xts(ecb({kernel.AES})))-plain64"


def options(which):
    """The I/O options of a case by its name: BYPASS where that says "bypass", else none."""
    return BYPASS if "bypass" in which else ()


def key(size, salt=""):
    """A key of so many bytes in hex; nothing random, so that the fixed hashes hold."""
    out = b""
    counter = 0
    while len(out) < size:
        out += hashlib.sha256(f"dcb key {salt}{counter}".encode()).digest()
        counter += 1
    return out[:size].hex() or "-"


def line(cipher, key_hex, iv_offset, device, offset=0, options=()):
    """A crypt table line; options is a sequence of words."""
    text = f"{cipher} {key_hex} {iv_offset} {device} {offset}"
    if options:
        text += f" {len(options)} {' '.join(options)}"
    return text


class Verdict:
    """What became of a table: errno (0 when accepted) and the text in the log."""

    def __init__(self, errno, text, messages):
        self.errno = errno
        self.text = text
        self.messages = messages

    def __repr__(self):
        return f"errno {self.errno}, text {self.text!r}"


def _error_text(messages, target, dev=""):
    """ti->error out of "device-mapper: table: 254:0: crypt: TEXT (-EINVAL)"."""
    start = "device-mapper: table: "
    for message in messages:
        if not message.startswith(f"{start}{dev}:" if dev else start):
            continue
        _, found, rest = message[len(start):].partition(f": {target}: ")
        if found:
            text, bracket, _ = rest.rpartition(" (-")
            return text if bracket else rest
    return None


def try_table(name, params, sectors, target, log, dev="", start=0):
    """Load a table into a mapping and leave it there; the Verdict.

    dev is the mapping's number, where others' messages are to be told from its own.
    """
    log.read()
    try:
        dm.load(name, [(start, sectors, target, params)])
        errno = 0
    except OSError as error:
        errno = error.errno
    messages = log.read()
    text = _error_text(messages, target, dev)
    # A message is not to be read while another processor is still writing an earlier one.
    for _ in range(10 if errno and not text else 0):
        time.sleep(0.005)
        messages += log.read()
        text = text or _error_text(messages, target, dev)
    return Verdict(errno, text, messages)


def judge(params, sectors, target, log, start=0):
    """Load a table into a new mapping and drop it again; the Verdict."""
    name = dm.unique("dcbv")
    dm.create(name)
    try:
        return try_table(name, params, sectors, target, log, start=start)
    finally:
        dm.remove(name)


@contextlib.contextmanager
def keys_shown():
    """Keys in what the target under test prints, as stock prints them."""
    if not kernel.has_parameter("hide_keys"):
        yield
        return
    with kernel.Parameter("hide_keys", "N"):
        yield
