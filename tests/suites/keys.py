#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Keys: from the kernel's keyring, and changed by messages.  Stock says what is right."""

import ctypes
import errno
import hashlib
import itertools
import os
import threading
import time

import blockdev
import cases
import dm
import kernel
import keyring
import memory
import tap

SECTORS = 64
SIZE = 4096
BLOB = hashlib.sha512(b"dcb keys").digest() * (SIZE // 64)
NOT_SUSPENDED = "not suspended during key manipulation."
UNRECOGNISED = "unrecognised message received."
NO_KEY = "aborting resume - crypt key is not set."
WHITESPACE = "whitespace chars not allowed in key string"
BAD_SIZE = "Cannot parse key size"
BAD_KEY = "Error decoding and setting key"
NO_MEMORY = "Cannot allocate encryption context"

# (cipher, key bytes): a key for each way in which the cipher and its IV mode hold one.
CIPHERS = [
    ("aes-xts-plain64", 64), ("aes-cbc-essiv:sha256", 32), ("capi:cbc(aes)-essiv:sha256", 32),
    ("aes-xts-eboiv", 64), ("aes-cbc-eboiv", 32), ("aes:2-cbc-eboiv", 64),
    ("aes:64-cbc-plain64", 1024), ("capi:adiantum(xchacha12,aes)-plain64", 32),
    (cases.CRYPTD, 64), ("aes-cbc-benbi", 32),
    ("aes-cbc-lmk", 32), ("aes:64-cbc-lmk", 65 * 16), ("aes-cbc-tcw", 32 + 16 + 16),
    ("aes-cbc-elephant", 64), ("capi:cbc(aes)-elephant", 64), ("cipher_null-ecb", 0),
]


def said(messages, target):
    """What the target itself wrote to the log; a kernel header adds to what stock says."""
    prefix = f"device-mapper: {target}: "
    return [text.partition(prefix)[2] for text in messages
            if text.removeprefix("trusted_key: ").startswith(prefix)]


def named(text, offered=BLOB):
    return "as written" if text == offered else hashlib.sha256(text).hexdigest()


class Player:
    """One mapping on which steps are taken; each leaves what came of it."""

    def __init__(self, backing, target, log, params):
        self.backing, self.target, self.log = backing, target, log
        blockdev.write(backing.path, 0, bytes(SIZE))
        self.mapping = dm.crypt(params, SECTORS, target)

    def message(self, text):
        dm.message(self.mapping.name, text)

    def suspend(self):
        dm.suspend(self.mapping.name)

    def resume(self):
        dm.resume(self.mapping.name)

    def line(self):
        return self.mapping.line()

    def write(self):
        """The ciphertext of what is written."""
        blockdev.write(self.mapping.path, 0, BLOB)
        return named(blockdev.read(self.backing.path, 0, SIZE))

    def read(self):
        return named(blockdev.read(self.mapping.path, 0, SIZE))

    def take(self, step):
        self.log.read()
        word, _, argument = step.partition(" ")
        try:
            result = getattr(self, word)(*([argument] if argument else []))
        except OSError as error:
            result = errno.errorcode[error.errno]
        return result, said(self.log.read(), self.target)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return self.mapping.__exit__(*exc)


def shorten(step):
    return step if len(step) < 60 else step[:50] + "..."


def play(test, params, steps, backing=None):
    """Take the steps with stock and with the target, which must agree; results by a step's word.

    A step is a word, or a word and its argument; a pair adds what is to come of it:
    None, an errno's name or a text, and the log line that goes with it.
    """
    backing = backing or test.enter(blockdev.NullBlk(1))
    log = test.enter(kernel.Log())
    params = params.replace("DEV", backing.dev)
    results = []
    by_word = {}
    for target in (dm.STOCK, dm.TARGET):
        found = []
        by_word.clear()
        with cases.keys_shown(), Player(backing, target, log, params) as player:
            for step in steps:
                step, *wanted = (step,) if isinstance(step, str) else step
                result, lines = player.take(step)
                found.append((shorten(step), result, lines))
                by_word.setdefault(step.split()[0], []).append(result)
                if wanted:
                    test.equal((result, lines), (wanted[0], list(wanted[1:])),
                               f"{target}, {params[:40]}: {shorten(step)}")
                elif step in ("suspend", "resume"):
                    # The steps after it make no sense, and I/O would wait for ever.
                    test.require(result is None, f"{target}, {params[:40]}: {step}: {result}")
        results.append(found)
    for stock, bulk in zip(*results):
        test.equal(bulk, stock, f"{params[:40]}: {stock[0]}")
    return by_word


def key_bytes(size, salt=""):
    return bytes.fromhex(cases.key(size, salt)) if size else b""


def expired(description, payload):
    key = keyring.add("user", description, payload)
    keyring.set_timeout(key, 1)
    time.sleep(1.2)


def fill_keyring():
    """The keys that the suite's lines name."""
    keyring.join_session()
    for size in (17, 31, 32, 33, 64):
        keyring.add("user", f"dcb:u{size}", key_bytes(size))
        keyring.add("logon", f"dcb:l{size}", key_bytes(size))
    keyring.add("user", "dcb:b32", key_bytes(32, "b"))
    keyring.add("user", "a:colon::more:", key_bytes(32))
    keyring.add("user", "dcb white", key_bytes(32))
    keyring.revoke(keyring.add("user", "dcb:revoked", key_bytes(32)))
    keyring.invalidate(keyring.add("user", "dcb:invalid", key_bytes(32)))
    keyring.unlink(keyring.add("user", "dcb:unlinked", key_bytes(32)))
    keyring.add("user", "dcb:kmk", key_bytes(32, "kmk"))
    expired("dcb:expired", key_bytes(32))


def keyring_lines():
    """(key argument, errno's name or None, text, log line or None) that stock agrees with."""
    for kind in "user:dcb:u32", "logon:dcb:l32", "user:a:colon::more:":
        yield f":32:{kind}", None, None, None
    yield ":032:user:dcb:u32", None, None, None
    for kind in ("user:dcb:nosuch", "logon:dcb:nosuch", "encrypted:dcb:nosuch", "user:dcb:l32",
                 "user:dcb:expired", "logon:nocolon", "logon::x",
                 "logon:dcb:u32", "encrypted:dcb:u32", "user:dcb:invalid", "user:dcb:unlinked",
                 "user:dcb:u3", "user:dcb:u322"):
        yield f":32:{kind}", "ENOKEY", BAD_KEY, None
    yield ":32:user:dcb:revoked", "EKEYREVOKED", BAD_KEY, None
    for size in (17, 31, 33, 64):
        yield f":32:user:dcb:u{size}", "EINVAL", BAD_KEY, None
        yield f":32:logon:dcb:l{size}", "EINVAL", BAD_KEY, None
        yield f":{size}:user:dcb:u32", "EINVAL", BAD_KEY, None
    # The cipher refuses it.
    yield ":17:user:dcb:u17", "EINVAL", BAD_KEY, None
    for kind in ("", ":", "x", "user", "user:", "logon:", ":dcb:u32", "User:dcb:u32", "use:dcb:u32",
                 "userx:dcb:u32", "keyring:dcb:u32", "asymmetric:dcb:u32"):
        yield f":32:{kind}", "EINVAL", BAD_KEY, None
    yield ":0:user:dcb:u32", "EINVAL", BAD_KEY, None
    yield ":0:user:dcb:nosuch", "EINVAL", BAD_KEY, None
    yield ":1048576:user:dcb:nosuch", "ENOKEY", BAD_KEY, None
    yield ":1048576:user:dcb:u32", "EINVAL", BAD_KEY, None
    for text in (":", "::", ":x", ":32", ":32x:user:dcb:u32", ":x32:user:dcb:u32",
                 ":-1:user:dcb:u32", ":0x20:user:dcb:u32", ":+32:user:dcb:u32",
                 "::user:dcb:u32", ":user:dcb:u32",
                 ":4294967295:user:dcb:u32", ":4294967264:user:dcb:u32"):
        yield text, "EINVAL", BAD_SIZE, None
    # Device-mapper splits a line at spaces, unless there is a backslash.
    yield ":32:user:dcb\\ white", "EINVAL", BAD_KEY, WHITESPACE
    yield ":32:nosuch:dcb\\ white", "EINVAL", BAD_KEY, WHITESPACE


# Stricter than stock, which takes the number modulo 2^32, or warns of its own allocation.
STRICTER = [
    (":4294967328:user:dcb:u32", "EINVAL", BAD_SIZE),
    (":18446744073709551648:user:dcb:u32", "EINVAL", BAD_SIZE),
    (":99999999999999999999999999999999:user:dcb:u32", "EINVAL", BAD_SIZE),
    (":\\ 32:user:dcb:u32", "EINVAL", BAD_SIZE),
    (":4194305:user:dcb:u32", "ENOMEM", NO_MEMORY),
    (":2147483647:user:dcb:u32", "ENOMEM", NO_MEMORY),
]


def errno_name(verdict):
    return errno.errorcode[verdict.errno] if verdict.errno else None


@tap.test("a key of the keyring that is missing, does not suit or is badly named: as in stock")
def test_keyring_lines(test):
    backing = test.enter(blockdev.NullBlk(1))
    log = test.enter(kernel.Log())
    for text, number, words, line in keyring_lines():
        params = cases.line("aes-cbc-plain64", text, 0, backing.dev)
        for target in (dm.STOCK, dm.TARGET):
            verdict = cases.judge(params, SECTORS, target, log)
            # "crypt: " also begins what is said of a table: that is the verdict's text.
            lines = said(verdict.messages, target)
            test.equal((errno_name(verdict), verdict.text, lines),
                       (number, words, [line] if line else []), f"{target}: {text}")


@tap.test("sizes that do not fit are refused, and nothing is allocated for them")
def test_keyring_sizes(test):
    if dm.TARGET == dm.STOCK:
        raise tap.Skip("stock is under test")
    backing = test.enter(blockdev.NullBlk(1))
    log = test.enter(kernel.Log())
    for text, number, words in STRICTER:
        params = cases.line("aes-cbc-plain64", text, 0, backing.dev)
        verdict = cases.judge(params, SECTORS, dm.TARGET, log)
        test.equal((errno_name(verdict), verdict.text), (number, words), text)
    # The size is looked at before the options, as in stock.
    for target in (dm.STOCK, dm.TARGET):
        params = cases.line("aes-cbc-plain64", ":x", 0, backing.dev, 0, ["nosuch"])
        verdict = cases.judge(params, SECTORS, target, log)
        test.equal(verdict.text, BAD_SIZE, f"{target}: two faults")
    # A key in hexadecimal digits is in memory anyway, which is not to say it can be doubled.
    params = cases.line("aes-cbc-plain64", "00" * (5 << 20), 0, backing.dev)
    verdict = cases.judge(params, SECTORS, dm.TARGET, log)
    test.equal((errno_name(verdict), verdict.text), ("ENOMEM", NO_MEMORY), "5 MiB of key")


@tap.each("a {0} key: the same ciphertext as with stock, printed by its name",
          ["user", "logon", "encrypted", "trusted"])
def test_keyring_data(test, kind):
    name = f"dcb:data-{kind}"
    payload = {"user": key_bytes(32), "logon": key_bytes(32),
               "encrypted": b"new user:dcb:kmk 32", "trusted": b"new 32"}[kind]
    argument = f":32:{kind}:{name}"
    try:
        keyring.add(kind, name, payload)
    except OSError as error:
        if kind != "trusted":
            raise
        # Stock does not know the type then, or finds no such key.
        backing, log = test.enter(blockdev.NullBlk(1)), test.enter(kernel.Log())
        params = cases.line("aes-cbc-plain64", argument, 0, backing.dev)
        verdicts = [cases.judge(params, SECTORS, target, log) for target in (dm.STOCK, dm.TARGET)]
        test.equal((verdicts[1].errno, verdicts[1].text), (verdicts[0].errno, verdicts[0].text),
                   "verdict on a trusted key that there cannot be")
        if not test.failures:
            raise tap.Skip(f"no trusted keys here, without a TPM or without the type: "
                           f"{error.strerror}") from error
        return
    for cipher in ("aes-cbc-plain64", "aes-cbc-essiv:sha256", "aes-cbc-eboiv", "aes-xts-plain64",
                   "aes:2-cbc-plain64"):
        line = f"{cipher} {argument} 0 DEV 0"
        found = play(test, line, ["write", "read", "line"])
        test.equal(found["read"], ["as written"], "read back")
        test.equal(found["line"][0].split()[:3], [cipher, argument, "0"], "printed")
        if kind in ("user", "logon"):
            hexed = play(test, line.replace(argument, cases.key(32)), ["write"])
            test.equal(found["write"], hexed["write"], "ciphertext with the same key in digits")


@tap.test("the name of a key is printed whatever hide_keys says, and can be loaded again")
def test_keyring_printed(test):
    backing = test.enter(blockdev.NullBlk(1))
    line = f"aes-cbc-plain64 :32:logon:dcb:l32 0 {backing.dev} 0"
    mapping = test.enter(dm.crypt(line, SECTORS))
    test.equal(mapping.line(), line, "printed by default")
    with cases.keys_shown():
        test.equal(mapping.line(), line, "printed with keys shown")
    blockdev.write(mapping.path, 0, BLOB)
    mapping.reload([(0, SECTORS, dm.TARGET, mapping.line())])
    test.check(blockdev.read(mapping.path, 0, SIZE) == BLOB, "read back after a reload")
    mapping.reload([(0, SECTORS, dm.STOCK, mapping.line())])
    test.check(blockdev.read(mapping.path, 0, SIZE) == BLOB, "read back by stock")
    zeros = cases.line("aes-cbc-plain64", ":32:user:dcb:u32", 0, backing.dev, 0,
                       ["sector_size:4096"])
    mapping.reload([(0, SECTORS, dm.TARGET, zeros)])
    test.equal(mapping.line(), zeros, "printed with options")


@tap.test("the mapping keeps its key when the keyring's is revoked, updated or gone")
def test_keyring_later(test):
    for undo in (keyring.revoke, keyring.invalidate, keyring.unlink,
                 lambda key: keyring.update(key, key_bytes(32, "b"))):
        backing = test.enter(blockdev.NullBlk(1))
        key = keyring.add("user", "dcb:later", key_bytes(32))
        with dm.crypt(f"aes-cbc-plain64 :32:user:dcb:later 0 {backing.dev} 0", SECTORS) as mapping:
            blockdev.write(mapping.path, 0, BLOB)
            undo(key)
            dm.suspend(mapping.name)
            dm.resume(mapping.name)
            test.check(blockdev.read(mapping.path, 0, SIZE) == BLOB, "read back")
        try:
            keyring.unlink(key)
        except OSError:
            pass


@tap.test("a hidden key's line that is loaded says where the key went")
def test_hidden_line(test):
    backing = test.enter(blockdev.NullBlk(1))
    log = test.enter(kernel.Log())
    verdict = cases.judge(f"aes-xts-plain64 - 0 {backing.dev} 0", SECTORS, dm.TARGET, log)
    test.equal((verdict.errno, verdict.text), (errno.EINVAL, BAD_KEY), "verdict")
    if dm.TARGET == dm.STOCK:
        raise tap.Skip("stock is under test")
    test.check(any("hide_keys" in text for text in verdict.messages), f"log: {verdict.messages}")


A, B = cases.key(64, "a"), cases.key(64, "b")
XTS = f"aes-xts-plain64 {A} 0 DEV 0"


@tap.test("messages while the mapping runs are refused as by stock")
def test_running(test):
    play(test, XTS, [
        "write",
        (f"message key set {B}", "EINVAL", NOT_SUSPENDED),
        ("message key wipe", "EINVAL", NOT_SUSPENDED),
        ("message key nosuch", "EINVAL", NOT_SUSPENDED),
        ("message KEY set", "EINVAL", NOT_SUSPENDED),
        ("message key set :64:user:dcb:u64", "EINVAL", NOT_SUSPENDED),
        ("message key", "EINVAL", UNRECOGNISED),
        ("message nosuch", "EINVAL", UNRECOGNISED),
        (f"message keys set {B}", "EINVAL", UNRECOGNISED),
        ("read", "as written"), "line",
        "suspend", "resume",
        ("message key wipe", "EINVAL", NOT_SUSPENDED), ("read", "as written")])


@tap.test("messages that are none are refused as by stock, and change nothing")
def test_unrecognised(test):
    bad = ["key", "key nosuch", "key set", f"key set {B} more", "key wipe more", "wipe key",
           "nosuch", "nosuch word", f"set {B}", f"key {B}", "ke wipe"]
    play(test, XTS, ["write", "suspend"] + [
        (f"message {text}", "EINVAL", UNRECOGNISED) for text in bad] + [
            "line", "resume", ("read", "as written"), "write"])


@tap.test("keys of another size are refused as by stock, and change nothing")
def test_sizes(test):
    bad = ["-", "0", B[:-2], B + "00", "x", ":32:user:dcb:u32", ":64", ":", ":x",
           ":-1:user:dcb:u64", ":65:user:dcb:u64", ":0:user:dcb:u64",
           ":4294967295:user:dcb:u64", B[:-1]]
    play(test, XTS, ["write", "suspend"] + [
        (f"message key set {text}", "EINVAL") for text in bad] + [
            "line", "resume", ("read", "as written"), "write"])


@tap.test("a key with an odd digit more is taken without it, as by stock")
def test_odd(test):
    play(test, XTS, ["write", "suspend", (f"message key set {B}0", None), "line", "resume", "write",
                     ("read", "as written")])


@tap.test("after a key whose digits are none the mapping has no key, as with stock")
def test_bad_digits(test):
    for text in ("x" + B[1:], B[:-1] + "x", B[:60] + "zz" + B[62:]):
        play(test, XTS, ["write", "suspend", (f"message key set {text}", "EINVAL"),
                         ("resume", "EAGAIN", NO_KEY), ("resume", "EAGAIN", NO_KEY),
                         (f"message key set {A}", None), "line", "resume", ("read", "as written")])


@tap.test("keyring keys by message: taken, or refused without loss of the present one, as in stock")
def test_keyring_messages(test):
    first, other = cases.key(32), cases.key(32, "b")
    missing = [("dcb:nosuch", "ENOKEY"), ("dcb:revoked", "EKEYREVOKED"),
               ("dcb:expired", "ENOKEY"), ("dcb:u31", "EINVAL"), ("dcb:u64", "EINVAL")]
    refused = [(f"message key set :32:user:{name}", number) for name, number in missing]
    refused += [("message key set :32:nosuch:dcb:u32", "EINVAL"),
                ("message key set :32:user:", "EINVAL"),
                ("message key set :32:user:dcb\\ white", "EINVAL", WHITESPACE)]
    found = play(test, f"aes-cbc-essiv:sha256 {first} 0 DEV 0", [
        "write", "suspend", *refused, "line", "resume", ("read", "as written"),
        "suspend", ("message key set :32:user:dcb:b32", None), "line", "resume", "read", "write",
        "suspend", *refused, "line", "resume", ("read", "as written"),
        "suspend", ("message key set :32:logon:dcb:l32", None), "line", "resume", "read", "write",
        "suspend", ("message KEY SET " + other, None), "line", "resume", "read", "write",
        "suspend", ("message key set :32:user:dcb:b32", None), "resume", ("read", "as written"),
        "suspend", ("message key wipe", None), "line", *refused, ("resume", "EAGAIN", NO_KEY),
        ("message key set :32:user:dcb:b32", None), "line", "resume", ("read", "as written")])
    test.equal([line.split()[1] for line in found["line"]],
               [first, ":32:user:dcb:b32", ":32:user:dcb:b32", ":32:logon:dcb:l32", other, "0" * 64,
                ":32:user:dcb:b32"], "keys printed")


def supported(test, cipher, size, backing):
    log = test.enter(kernel.Log())
    line = cases.line(cipher, cases.key(size, "a"), 0, backing.dev)
    test.equal(cases.judge(line, SECTORS, dm.STOCK, log).errno, 0, f"stock takes {cipher}")
    verdict = cases.judge(line, SECTORS, dm.TARGET, log)
    if "not supported by crypt-bulk yet" in (verdict.text or ""):
        raise tap.Skip(f"{cipher}: {verdict.text}")
    test.require(not verdict.errno, f"{cipher}: {verdict}")


@tap.each("{0} with {1} bytes of key: set to another key, wiped, and set back", CIPHERS, sample=3)
def test_cipher(test, cipher, size):
    backing = test.enter(blockdev.NullBlk(1))
    supported(test, cipher, size, backing)
    first, other = cases.key(size, "a"), cases.key(size, "b")
    found = play(test, f"{cipher} {first} 0 DEV 0", [
        "write", ("read", "as written"),
        "suspend", (f"message key set {other}", None), "line", "resume", "read",
        "suspend", (f"message key set {first}", None), "resume", ("read", "as written"),
        "suspend", ("message key wipe", None), "line", ("resume", "EAGAIN", NO_KEY),
        ("message Key Wipe", None), ("resume", "EAGAIN", NO_KEY),
        (f"message key set {other}", None), "line", "resume", "read", "write",
        "suspend", ("message key wipe", None), (f"message key set {first}", None), "resume", "read",
        "write", ("read", "as written")], backing)
    if size:
        for number in (1, 3, 4):
            test.check(found["read"][number] != "as written", f"read {number} is of another key")
        test.check(found["write"][1] != found["write"][0], "another key makes other ciphertext")
    test.equal([line.split()[1] for line in found["line"]], [other, "0" * size * 2 or "-", other],
               "keys printed")
    test.equal(found["write"][2], found["write"][0], "ciphertext as at first")


@tap.test("with hide_keys, no message makes the key show")
def test_hidden(test):
    if not kernel.has_parameter("hide_keys"):
        raise tap.Skip("stock is under test")
    backing = test.enter(blockdev.NullBlk(1))
    hidden = f"aes-xts-plain64 - 0 {backing.dev} 0"
    mapping = test.enter(dm.crypt(XTS.replace("DEV", backing.dev), SECTORS))
    dm.suspend(mapping.name)
    for text in (f"key set {B}", "key wipe", f"key set {A}"):
        dm.message(mapping.name, text)
        test.equal(mapping.line(), hidden, f"line after {shorten(text)}")
    dm.message(mapping.name, "key set :64:user:dcb:u64")
    named_line = f"aes-xts-plain64 :64:user:dcb:u64 0 {backing.dev} 0"
    test.equal(mapping.line(), named_line, "line with a key of the keyring")
    dm.message(mapping.name, "key wipe")
    test.equal(mapping.line(), hidden, "line after a wipe")


@tap.test("I/O that comes while the mapping is suspended waits, and uses the new key")
def test_waiting_io(test):
    results = []
    for target in (dm.STOCK, dm.TARGET):
        backing = test.enter(blockdev.NullBlk(1))
        mapping = test.enter(dm.crypt(XTS.replace("DEV", backing.dev), SECTORS, target))
        blockdev.write(mapping.path, SIZE, BLOB)
        found = {}

        def writer(path=mapping.path):
            blockdev.write(path, 0, BLOB)
            found["written"] = time.monotonic()

        def reader(path=mapping.path):
            found["data"] = blockdev.read(path, SIZE, SIZE)
            found["read"] = time.monotonic()
        dm.suspend(mapping.name)
        threads = [threading.Thread(target=work, daemon=True) for work in (writer, reader)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        test.equal(found, {}, f"{target}: what has ended while it is suspended")
        dm.message(mapping.name, "key wipe")
        time.sleep(0.2)
        test.equal(found, {}, f"{target}: what has ended without a key")
        test.raises(OSError, errno.EAGAIN, dm.resume, mapping.name)
        dm.message(mapping.name, f"key set {B}")
        before = time.monotonic()
        dm.resume(mapping.name)
        for thread in threads:
            thread.join(30)
        test.require(len(found) == 3, f"{target}: I/O ended: {sorted(found)}")
        test.check(min(found["written"], found["read"]) > before, "after the resume only")
        results.append((blockdev.read(backing.path, 0, SIZE), found["data"]))
    test.check(results[0] == results[1], "the same as with stock")
    with dm.crypt(XTS.replace("DEV", backing.dev).replace(A, B), SECTORS, dm.STOCK) as judge:
        test.check(blockdev.read(judge.path, 0, SIZE) == BLOB, "stock reads it with the new key")


class Storm:
    """A mapping whose key is changed and wiped by some, and which is suspended by others."""

    # Giving 1024 transforms their keys takes a while; each sector of the data uses another one.
    CIPHER, SIZE, SECTORS = "aes:1024-cbc-plain64", 1024 * 16, 1024
    DATA = BLOB * (SECTORS * 512 // len(BLOB))

    def __init__(self, test, seconds):
        self.test = test
        self.keys = [cases.key(self.SIZE, "a"), cases.key(self.SIZE, "b")]
        self.backing = test.enter(blockdev.NullBlk(1))
        self.good = {self.ciphertext(key): key for key in self.keys}
        self.count = {}
        self.ended = time.monotonic() + seconds
        self.over = threading.Event()
        # Two senders and the suspender, and who ends it all after them.
        self.quiet = threading.Barrier(4)
        line = cases.line(self.CIPHER, self.keys[0], 0, self.backing.dev)
        self.mapping = test.enter(dm.crypt(line, self.SECTORS))
        self.name = self.mapping.name

    def ciphertext(self, key):
        line = cases.line(self.CIPHER, key, 0, self.backing.dev)
        with dm.crypt(line, self.SECTORS, dm.STOCK) as judge:
            blockdev.write(judge.path, 0, self.DATA)
        return blockdev.read(self.backing.path, 0, len(self.DATA))

    def attempt(self, what, function, *args, allowed=(errno.EINVAL, errno.EAGAIN)):
        try:
            function(*args)
            outcome = what
        except OSError as error:
            self.test.check(error.errno in allowed, f"{what}: {error}")
            outcome = f"{what}: {errno.errorcode.get(error.errno, error.errno)}"
        self.count[outcome] = self.count.get(outcome, 0) + 1
        return outcome == what

    def sender(self, first):
        while time.monotonic() < self.ended:
            self.attempt("set", dm.message, self.name, f"key set {self.keys[first]}")
            self.attempt("wipe", dm.message, self.name, "key wipe")
            self.attempt("set", dm.message, self.name, f"key set {self.keys[1 - first]}")
        self.quiet.wait()

    def suspender(self):
        while time.monotonic() < self.ended:
            self.attempt("suspend", dm.suspend, self.name)
            time.sleep(0.002)
            self.attempt("resume", dm.resume, self.name)
        self.quiet.wait()

    def printer(self):
        known = self.keys + ["0" * self.SIZE * 2]
        with cases.keys_shown():
            while time.monotonic() < self.ended:
                printed = self.mapping.line().split()[1]
                self.count["printed"] = self.count.get("printed", 0) + 1
                time.sleep(0.002)
                if dm.TARGET != dm.STOCK:
                    self.test.check(printed in known, f"a mixed key is printed: {printed[:80]}")

    def write_raw(self):
        blockdev.write(self.mapping.path, 0, self.DATA)
        return blockdev.read(self.backing.path, 0, len(self.DATA))

    def whole(self, data):
        """Every request of the write has one key.  Kernels split it at 128 KiB, and may suspend
        the mapping, and so have its key changed, between two pieces."""
        piece = 128 << 10
        return all(any(data[at:at + piece] == good[at:at + piece] for good in self.good)
                   for at in range(0, len(data), piece))

    def write_once(self):
        data = self.write_raw()
        # Stock has no lock between a message and a resume.
        if dm.TARGET != dm.STOCK:
            self.test.check(self.whole(data), "written with a key that nobody set")
        elif not self.whole(data):
            self.count["strange"] = self.count.get("strange", 0) + 1

    def writer(self):
        while not self.over.is_set():
            self.attempt("write", self.write_once, allowed=(errno.EIO,))

    def end(self):
        """Let whoever waits for I/O go on."""
        self.quiet.wait()
        self.attempt("suspend", dm.suspend, self.name)
        dm.message(self.name, f"key set {self.keys[0]}")
        self.over.set()
        dm.resume(self.name)


@tap.test("messages, suspends, resumes, prints and writes at once: no write with a wrong key")
def test_storm(test):
    storm = Storm(test, 15)
    test.threads([lambda: storm.sender(0), lambda: storm.sender(1), storm.suspender, storm.printer,
                  storm.writer, storm.end])
    tap.diag(storm.count)
    for what in ("set", "wipe", "suspend", "resume", "printed", "write"):
        test.check(storm.count.get(what, 0) > 5, f"{what} happened")
    test.equal(storm.good.get(storm.write_raw()), storm.keys[0], "the key at the end")


@tap.test("a wiped key is nowhere in memory, nor is the text of any message with a key")
def test_memory(test):
    backing = test.enter(blockdev.NullBlk(1))
    mapping = test.enter(dm.crypt(XTS.replace("DEV", backing.dev), SECTORS))
    secrets = {word: memory.Secret(number, 64) for number, word in
               enumerate(("set", "running", "size", "words", "digits", "control"))}

    def send(word, after=b"", count=None):
        digits = itertools.islice(secrets[word].digits(), count)
        text = itertools.chain(b"key set ", digits, after)
        try:
            dm.message_in_place(mapping.name, text)
            result = 0
        except OSError as error:
            result = error.errno
        # At once, before another ioctl takes the same memory. Stock leaves some texts.
        found = memory.find({"text": secrets[word].digit})
        test.check(dm.TARGET == dm.STOCK or not found, f"text of message {word} is in memory")
        return result
    test.equal(send("running"), errno.EINVAL, "a message while the mapping runs")
    dm.suspend(mapping.name)
    for word, after, count in (("size", b"00", None), ("words", b" more", None),
                               ("digits", b"x", 127)):
        test.equal(send(word, after, count), errno.EINVAL, f"message: {word}")
    test.equal(send("set"), 0, "key set")
    # Where they are to be found, so that not finding them says something.
    control = bytearray(map(secrets["control"].byte, range(64)))
    found = memory.find({"key": secrets["set"].byte, "control": secrets["control"].byte})
    control[:] = bytes(64)
    test.equal(found, {"key", "control"}, "what is there is found")
    dm.message(mapping.name, "key wipe")
    test.equal(memory.find({"key": secrets["set"].byte}), set(), "found after the wipe")


@tap.test("a mapping keeps no copy of a keyring's key but what the cipher made of it")
def test_memory_keyring(test):
    backing = test.enter(blockdev.NullBlk(1))
    secret = memory.Secret(6, 32)
    payload = bytearray(map(secret.byte, range(32)))
    key = keyring.add("user", "dcb:memory", (ctypes.c_char * 32).from_buffer(payload))
    payload[:] = bytes(32)
    # Serpent's round keys do not begin with the key itself.
    line = f"serpent-cbc-plain64 :32:user:dcb:memory 0 {backing.dev} 0"
    mapping = test.enter(dm.crypt(line, SECTORS))
    test.equal(memory.find({"key": secret.byte}), {"key"}, "found while the keyring has it")
    keyring.invalidate(key)
    # It is freed, and wiped, by a work item.
    gone = tap.poll(lambda: not memory.find({"key": secret.byte}), timeout=20)
    test.check(gone, "a copy is in memory")
    test.equal(mapping.line(), line, "the mapping is still there")


@tap.test("keys set and wiped a hundred times leave no memory behind")
def test_no_leak(test):
    backing = test.enter(blockdev.NullBlk(1))
    mapping = test.enter(dm.crypt(XTS.replace("DEV", backing.dev), SECTORS))
    dm.suspend(mapping.name)
    texts = [f"key set {B}", "key wipe", "key set :64:user:dcb:u64", "key set :64:user:dcb:nosuch",
             "key set :64:logon:dcb:l64", "key set :64:user:dcb:u32", f"key set x{B[1:]}"]

    def rounds(count):
        for _ in range(count):
            for text in texts:
                try:
                    dm.message(mapping.name, text)
                except OSError:
                    pass
    rounds(20)
    leaks = []
    for _ in range(3):
        kernel.settle()
        before = kernel.slab_objects()
        rounds(100)
        kernel.settle()
        now = kernel.slab_objects()
        leaks.append({name for name, count in before.items() if now.get(name, 0) - count >= 90})
        if not leaks[-1]:
            break
    test.equal(set.intersection(*leaks), set(), "slab caches that grow each time")


@tap.test("no key of any test above is in the kernel's log")
def test_not_logged(test):
    with open("/dev/kmsg", "rb", buffering=0) as file:
        os.set_blocking(file.fileno(), False)
        text = b""
        while True:
            try:
                record = file.read(8192)
            except BrokenPipeError:
                continue
            if record is None:
                break
            text += record.lower()
    test.check(f": {dm.TARGET}: ".encode() in text, "the log has what the suite provoked")
    for key in (A, B, cases.key(64), cases.key(32, "b")):
        pieces = [key[at:at + 16].encode() for at in range(0, len(key) - 15, 2)]
        test.check(not any(piece in text for piece in pieces), "a key is in the log")


if __name__ == "__main__":
    kernel.load_targets()
    kernel.hurry_rcu()
    kernel.load_cryptd()
    fill_keyring()
    tap.main()
