#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""The user's program crypt-bulk: open, close, table, status, and what it keeps in memory.

Volumes are cryptsetup's: what the program opens has to be what cryptsetup opens.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pty
import re
import subprocess
import tempfile
import termios
import uuid as uuid_of

import blockdev
import cli
import dm
import kernel
import keyring
import tap
import volumes

NAME = volumes.Volume.NAME
PATH = volumes.Volume.PATH
SECRET = b"a passphrase"
BULK = "crypt-bulk"
PLAIN = ["--type", "plain", "--cipher", "aes-xts-plain64", "--key-size", "512"]

LUKS = [
    ("LUKS1", 1, []),
    ("LUKS2", 2, []),
    ("LUKS2 with 4096-byte sectors", 2, ["--sector-size", "4096"]),
    ("LUKS2 with another cipher", 2, ["--cipher", "aes-cbc-essiv:sha256", "--key-size", "256"]),
]
AUTHENTICATED = [
    ("hmac-sha256", ["--integrity", "hmac-sha256"]),
    ("hmac-sha256 and 4096-byte sectors", ["--integrity", "hmac-sha256", "--sector-size", "4096"]),
    ("hmac-sha512 without a journal", ["--integrity", "hmac-sha512", "--integrity-no-journal"]),
    ("hmac-sha256 and random IVs", ["--cipher", "aes-xts-random", "--integrity", "hmac-sha256"]),
    ("aes-gcm", ["--cipher", "aes-gcm-random", "--integrity", "aead"]),
    ("chacha20-poly1305", ["--cipher", "chacha20-random", "--integrity", "poly1305"]),
]
FLAGS = ["allow_discards", "same_cpu_crypt", "submit_from_crypt_cpus", "no_read_workqueue",
         "no_write_workqueue"]


def flag_option(word):
    return "--allow-discards" if word == "allow_discards" else f"--perf-{word}"


def backing(test, mib=4):
    return test.enter(blockdev.NullBlk(mib))


def luks(test, *options, version=2, device=None, secret=SECRET):
    volume = volumes.luks(device or backing(test), *options, version=version)
    volume.secret = secret
    volume.create()
    volumes.forget(test)
    return volume


def edit_header(path, edit):
    """Change what a LUKS2 header says, as someone can who has the device and not the key."""
    with open(path, "r+b") as device:
        binary = bytearray(device.read(4096))
        size = int.from_bytes(binary[8:16], "big")
        area = device.read(size - 4096)
        header = json.loads(area.rstrip(b"\0"))
        edit(header)
        area = json.dumps(header).encode().ljust(size - 4096, b"\0")
        # A newer one than its copy, which would be taken otherwise.
        binary[16:24] = (int.from_bytes(binary[16:24], "big") + 1).to_bytes(8, "big")
        binary[448:512] = bytes(64)
        binary[448:480] = hashlib.sha256(bytes(binary) + area).digest()
        device.seek(0)
        device.write(bytes(binary) + area)
        os.fsync(device.fileno())


def open_volume(test, volume, *options):
    cli.ok(test, "open", "--key-file", "-", *options, volume.device.path, NAME,
           secret=volume.secret)


def close(test):
    cli.ok(test, "close", NAME)


def tables(names):
    """Tables with the word crypt for either target, and no key: (start, length, target, text)."""
    found = []
    for name in names:
        for start, length, target, text in dm.status(name):
            words = text.split(" ")
            if target in (dm.STOCK, BULK):
                target = dm.STOCK
                if not words[1].startswith(":"):
                    words[1] = "KEY"
            found.append((name, start, length, target, " ".join(words)))
    return found


def uuids(names):
    return [dm.dmsetup("info", "-c", "--noheadings", "-o", "uuid", name, check=True).stdout.strip()
            for name in names]


def as_cryptsetup(test, volume, open_it, key=False):
    """Opened by cryptsetup and by us, it is the same: data, table, UUID."""
    with volume.opened() as path:
        written = volumes.fill(path)
        names = volume.mappings()
        wanted = tables(names)
        wanted_uuids = uuids(names)
    open_it()
    test.equal(volume.mappings(), names, "mappings")
    test.equal(dm.status(NAME)[0][2], BULK, "target")
    ours = tables(names)
    if not key:
        # Where cryptsetup has it in the table, we have it in the keyring.
        ours = [line[:4] + (re.sub(r" :\d+:logon:\S+", " KEY", line[4]),) for line in ours]
    test.equal(ours, wanted, "tables")
    test.equal(uuids(names), wanted_uuids, "UUIDs")
    test.equal(volumes.digest(PATH), written, "what cryptsetup wrote")
    written = volumes.fill(PATH)
    close(test)
    test.equal(volume.mappings(), [], "mappings after close")
    with volume.opened() as path:
        test.equal(volumes.digest(path), written, "what was written by us")


@tap.each("open: {0}", LUKS, sample=2)
def test_luks(test, _title, version, options):
    volume = luks(test, *options, version=version)
    as_cryptsetup(test, volume, lambda: open_volume(test, volume), key=version == 2)


@tap.each("open: authenticated LUKS2, {0}", AUTHENTICATED, sample=2)
def test_authenticated(test, _title, options):
    no_journal = [word for word in options if word == "--integrity-no-journal"]
    volume = luks(test, *(word for word in options if word not in no_journal))
    volume.opening += tuple(no_journal)
    as_cryptsetup(test, volume, lambda: open_volume(test, volume, *no_journal), key=True)


@tap.test("open: plain, passphrase from a pipe, with offsets and a size")
def test_plain(test):
    device = backing(test)
    options = [*PLAIN, "--hash", "sha512", "--offset", "64", "--skip", "4096", "--size", "2048"]
    volume = volumes.Volume(device, ["--batch-mode", *options], b"a passphrase\nnot read\n")
    volumes.forget(test)
    as_cryptsetup(test, volume, lambda: cli.ok(test, "open", *options, device.path, NAME,
                                               secret=volume.secret))


@tap.test("open: plain with a key file, and large sectors")
def test_plain_key_file(test):
    device = backing(test)
    with tempfile.NamedTemporaryFile() as key:
        key.write(os.urandom(100))
        key.flush()
        options = [*PLAIN, "--sector-size", "4096", "--iv-large-sectors", "--key-file", key.name,
                   "--keyfile-offset", "11"]
        volume = volumes.Volume(device, ["--batch-mode", *options], b"")
        volumes.forget(test)
        as_cryptsetup(test, volume, lambda: cli.ok(test, "open", *options, device.path, NAME))


@tap.test("open: plain without what defines it is refused")
def test_plain_incomplete(test):
    device = backing(test)
    for options in (["--key-size", "512"], ["--cipher", "aes-xts-plain64"],
                    ["--cipher", "aes-xts-plain64", "--key-size", "512"],
                    [*PLAIN, "--hash", "nosuchhash"], [*PLAIN, "--hash", "sha256", "--size", "0"]):
        said = cli.expect(test, cli.WRONG_USE, "open", "--type", "plain", *options,
                          device.path, NAME, secret=b"a passphrase\n")[1]
        test.check(not dm.exists(NAME), f"{options} makes no mapping ({said})")


@tap.test("open: a key file with an offset and a size, and a passphrase with a line end in it")
def test_key_file(test):
    volume = luks(test)
    volume.secret = b"two\nlines"
    volume.create()
    with tempfile.NamedTemporaryFile() as key:
        key.write(b"junk" + volume.secret + b"more")
        key.flush()
        cut = ["--key-file", key.name, "--keyfile-offset", "4", "--keyfile-size"]
        cli.ok(test, "open", *cut, "9", volume.device.path, NAME)
        close(test)
        cli.expect(test, cli.NO_PERMISSION, "open", *cut, "8", volume.device.path, NAME)
        cli.expect(test, cli.WRONG_USE, "open", *cut, "99", volume.device.path, NAME)
    open_volume(test, volume)
    close(test)
    with tempfile.NamedTemporaryFile() as key:
        key.write(volume.secret + bytes(8 << 20))
        key.flush()
        said = cli.expect(test, cli.WRONG_USE, "open", "--key-file", key.name,
                          volume.device.path, NAME)[1]
        test.check("--keyfile-size" in said, f"a key file is not cut silently: {said}")
    # Without --key-file only the first line of standard input counts.
    cli.expect(test, cli.NO_PERMISSION, "open", volume.device.path, NAME,
               secret=volume.secret)


@tap.test("open: exit statuses")
def test_statuses(test):
    volume = luks(test)
    path = volume.device.path
    cases = [
        (cli.NO_PERMISSION, [path, NAME], b"wrong\n"),
        (cli.WRONG_USE, [path, NAME], b""),
        (cli.WRONG_USE, [path], SECRET),
        (cli.WRONG_USE, ["--no-such-option", path, NAME], SECRET),
        (cli.WRONG_USE, ["--json", path, NAME], SECRET),
        (cli.WRONG_USE, ["--cipher", "aes-xts-plain64", path, NAME], SECRET),
        (cli.WRONG_USE, ["--type", "bitlk", path, NAME], SECRET),
        (cli.WRONG_USE, ["--tries", "many", path, NAME], SECRET),
        (cli.NO_DEVICE, ["/dev/nosuchdevice", NAME], SECRET),
        (cli.NO_DEVICE, ["/etc/passwd", NAME], SECRET),
        (cli.WRONG_USE, [backing(test, 1).path, NAME], SECRET),
        (cli.WRONG_USE, ["--type", "luks1", path, NAME], SECRET),
        (cli.WRONG_USE, ["--token-only", path, NAME], SECRET),
        (cli.WRONG_USE, ["--key-slot", "5", path, NAME], SECRET),
        (cli.WRONG_USE, ["--key-slot", str(1 << 32), path, NAME], SECRET),
        (cli.NO_PERMISSION, [path, NAME], b"x" * 600),
        (cli.WRONG_USE, ["--keyfile-offset", "2", "--keyfile-size", "99", path, NAME], SECRET),
    ]
    for wanted, args, secret in cases:
        _, said = cli.expect(test, wanted, "open", *args, secret=secret)
        test.check(said.strip(), f"{args}: says why")
        test.check(not dm.exists(NAME), f"{args}: no mapping")
    cli.ok(test, "open", path, NAME, secret=SECRET + b"\n")
    cli.expect(test, cli.BUSY, "open", path, NAME, secret=SECRET)
    cli.expect(test, cli.BUSY, "open", path, NAME + "2", secret=SECRET)
    test.check(not dm.exists(NAME + "2"), "a device in use is not mapped again")
    close(test)
    run = subprocess.run(["setpriv", "--reuid", "nobody", cli.PATH, "status"],
                         stderr=subprocess.PIPE)
    test.equal(run.returncode, cli.WRONG_USE, "status without root's rights")
    test.check(b"root" in run.stderr, f"says why: {run.stderr}")
    for name in (NAME, f"/dev/mapper/{NAME}", "/dev/vda", "n" * 200):
        for command in ("close", "status", "table", "convert"):
            cli.expect(test, cli.NO_DEVICE, command, name)


@tap.test("open: --test-passphrase, --key-slot")
def test_passphrase_only(test):
    volume = luks(test)
    check = ["open", "--test-passphrase", volume.device.path]
    cli.ok(test, *check, secret=SECRET)
    cli.expect(test, cli.NO_PERMISSION, *check, secret=b"wrong")
    cli.expect(test, cli.WRONG_USE, *check, "--key-slot", "3", secret=SECRET)
    cli.ok(test, *check, "--key-slot", "0", secret=SECRET)
    test.equal(volume.mappings(), [], "mappings")


@tap.test("open: a token of the header, with the passphrase in a keyring")
def test_token(test):
    volume = luks(test)
    path = volume.device.path
    volumes.cryptsetup("token", "add", "--key-description", "dcb:token", path)
    keyring.join_session()
    cli.expect(test, cli.NO_PERMISSION, "open", "--token-only", path, NAME)
    keyring.add("user", "dcb:token", SECRET)
    for options in (["--token-only"], ["--token-id", "0"], []):
        cli.ok(test, "open", *options, path, NAME)
        close(test)
    cli.expect(test, cli.NO_PERMISSION, "open", "--key-file", "-", path, NAME, secret=b"wrong")


def at_terminal(test, answers, *args, fault=None):
    """Run it at a terminal, and answer its questions: status, and all that the terminal showed."""
    ours, its = pty.openpty()
    test.defer(os.close, ours)
    process = subprocess.Popen([cli.PATH, *args], stdin=its, stdout=its, stderr=its,
                               start_new_session=True, env=cli.environment(fault),
                               preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
    test.defer(process.kill)
    shown = b""
    for number, answer in enumerate(answers, 1):
        while shown.count(b"Enter passphrase") < number:
            shown += os.read(ours, 1000)
        test.require(tap.poll(lambda: not termios.tcgetattr(its)[3] & termios.ECHO),
                     "the terminal does not show what is typed")
        os.write(ours, answer)
    status = process.wait(60)
    test.check(termios.tcgetattr(its)[3] & termios.ECHO, "it shows it again afterwards")
    os.close(its)
    with contextlib.suppress(OSError):
        while True:
            shown += os.read(ours, 1000)
    return status, shown.decode()


@tap.test("open: at a terminal, blind, with several tries, and interrupted")
def test_terminal(test):
    path = luks(test).device.path
    status, shown = at_terminal(test, [b"wrong1\n", SECRET + b"\n"], "open", path, NAME)
    test.equal(status, 0, "status of the second try")
    test.check("wrong1" not in shown and SECRET.decode() not in shown, f"nothing shown: {shown}")
    close(test)
    for tries, count in (([], 3), (["--tries", "1"], 1)):
        status, shown = at_terminal(test, [b"wrong\n"] * count, "open", *tries, path, NAME)
        test.equal(status, cli.NO_PERMISSION, f"status after {count} wrong ones")
        test.equal(shown.count("No key available"), count, f"tries in {shown}")
    status, shown = at_terminal(test, [b"half\x03"], "open", path, NAME)
    test.equal(status, -2, "ended by the signal")
    status, shown = at_terminal(test, [], "open", path, NAME, fault="interrupt")
    test.equal(status, -2, "ended by one that comes before it waits")
    status, shown = at_terminal(test, [b"half a line"], "open", "--timeout", "2", path, NAME)
    test.equal(status, cli.WRONG_USE, "status when nobody ends the line in time")
    test.check("not ended in 2 s" in shown, f"says why: {shown}")
    for args in ([path], [*PLAIN, "--hash", "sha256", path]):
        status, shown = at_terminal(test, [b"\x04"], "open", *args, NAME)
        test.equal(status, cli.WRONG_USE, "status at the end of all input")
        test.check("no passphrase" in shown, f"says why: {shown}")
        test.check(not dm.exists(NAME), "no mapping")


@tap.test("open: a header of its own")
def test_header(test):
    device, header = backing(test), backing(test)
    volume = luks(test, "--header", header.path, device=device)
    volume.opening += ("--header", header.path)
    as_cryptsetup(test, volume, lambda: open_volume(test, volume, "--header", header.path),
                  key=True)
    cli.expect(test, cli.WRONG_USE, "open", device.path, NAME, secret=SECRET)
    short = backing(test, 1).path
    for header, wanted, word in (("/etc/passwd", cli.WRONG_USE, "too short"),
                                 (short, cli.WRONG_USE, f"{short} is not a LUKS device"),
                                 ("/tmp", cli.NO_DEVICE, "neither"),
                                 ("/no/such", cli.NO_DEVICE, "No such file")):
        said = cli.expect(test, wanted, "open", "--header", header, device.path, NAME,
                          secret=SECRET)[1]
        test.check(word in said, f"says what is wrong with the header: {said}")


@tap.each("open: a header for another device is not taken for the data's, LUKS{0}", [1, 2])
def test_header_alone(test, version):
    """It leaves no room before the data, so that the first write would be to the key slots."""
    device, header = backing(test), backing(test)
    luks(test, "--header", header.path, device=device, version=version)
    with open(header.path, "rb") as file:
        before = file.read()
    for options in ([], ["--header", header.path]):
        said = cli.expect(test, cli.WRONG_USE, "open", *options, header.path, NAME,
                          secret=SECRET)[1]
        test.check("--header" in said, f"says what to do: {said}")
        test.check(not dm.exists(NAME), "no mapping")
    cli.ok(test, "open", "--test-passphrase", header.path, secret=SECRET)
    with open(header.path, "rb") as file:
        test.check(file.read() == before, "the header is as it was")


@tap.test("open: a device that is read-only")
def test_read_only_device(test):
    volume = luks(test)
    path = volume.device.path
    subprocess.run(["blockdev", "--setro", path], check=True)
    test.defer(subprocess.run, ["blockdev", "--setrw", path])
    said = cli.expect(test, 0, "open", path, NAME, secret=SECRET)[1]
    test.check("read-only" in said, f"says so: {said}")
    test.check(cli.status(test, NAME)["read_only"], "the mapping is too")
    close(test)


def no_controls(test, said):
    test.check(not [c for c in said if c != "\n" and (c < " " or "\x7f" <= c < "\xa0")],
               f"no controls: {said!r}")


@tap.test("open: words of a header give the terminal no commands")
def test_hostile_words(test):
    volume = luks(test)

    def require(header):
        header["config"]["requirements"] = {"mandatory": ["x\x1b[31m\x9bA\u00e4"]}

    edit_header(volume.device.path, require)
    said = cli.expect(test, cli.WRONG_USE, "open", volume.device.path, NAME, secret=SECRET)[1]
    test.check("x?[31m" in said and "A\u00e4" in said, f"shown as text: {said!r}")
    no_controls(test, said)


@tap.test("open: what the library says of a header gives the terminal none either")
def test_hostile_library(test):
    volume = luks(test)

    def rename(header):
        header["keyslots"]["0"]["area"]["encryption"] = "x\x1b[31m-xts-plain64"

    edit_header(volume.device.path, rename)
    for options in ([], ["--debug"]):
        ran = cli.run("open", *options, volume.device.path, NAME, secret=SECRET)
        said = ran.stderr.decode(errors="replace")
        test.check(ran.returncode, f"it was opened: {said!r}")
        test.check("libcryptsetup: " in said, f"the library said something: {said!r}")
        no_controls(test, said)
    test.check("x?[31m" in said, f"the name is among it: {said!r}")


@tap.test("open: names as long as they may be, options for cryptsetup's users")
def test_names(test):
    plain, authenticated = luks(test), luks(test, "--integrity", "hmac-sha256")
    for volume, length, wanted in ((plain, 127, 0), (plain, 128, cli.WRONG_USE),
                                   (authenticated, 123, 0), (authenticated, 124, cli.WRONG_USE)):
        name = "n" * length
        said = cli.expect(test, wanted, "open", "-q", "-v", volume.device.path, name,
                          secret=SECRET)[1]
        test.equal("Command successful." in said, not wanted, f"-v: {said}")
        test.equal(dm.exists(name), not wanted, f"a mapping of {length} characters")
        if not wanted:
            cli.ok(test, "close", name)


@tap.each("open: a device named {0}", ["UUID=", "PARTUUID="])
def test_device_name(test, kind):
    """As udev would have made the link, which no guest of the tests has."""
    volume = luks(test)
    uuid = str(uuid_of.uuid4())
    link = f"/dev/disk/by-{kind[:-1].lower()}/{uuid}"
    os.makedirs(os.path.dirname(link), exist_ok=True)
    os.symlink(volume.device.path, link)
    test.defer(os.unlink, link)
    cli.ok(test, "open", kind + uuid, NAME, secret=SECRET)
    test.equal(cli.status(test, NAME)["device"], volume.device.path, "device")
    close(test)
    said = cli.expect(test, cli.NO_DEVICE, "open", f"{kind}no-such", NAME, secret=SECRET)[1]
    test.check("no-such" in said, f"what is missing is named: {said}")


@tap.test("open: flags, of the command line and those kept in the header")
def test_flags(test):
    volume = luks(test)
    for word in FLAGS + ["high_priority"]:
        open_volume(test, volume, flag_option(word))
        test.equal(cli.status(test, NAME)["options"], [word], "options")
        close(test)
    with volume.opened("--allow-discards", "--perf-no_read_workqueue", "--persistent"):
        pass
    open_volume(test, volume, "--perf-same_cpu_crypt")
    test.equal(cli.status(test, NAME)["options"],
               ["allow_discards", "same_cpu_crypt", "no_read_workqueue"], "options of both")
    close(test)
    open_volume(test, volume, "--perf-same_cpu_crypt", "--persistent")
    close(test)
    with volume.opened():
        test.equal(dm.status(NAME)[0][3].split()[6:],
                   ["allow_discards", "same_cpu_crypt", "no_read_workqueue"],
                   "options kept by us, with cryptsetup")


@tap.test("open: --persistent refuses what the header would not keep, before there is a mapping")
def test_not_kept(test):
    volume = luks(test)
    said = cli.expect(test, cli.WRONG_USE, "open", "--key-file", "-", "--persistent",
                      "--perf-high_priority", volume.device.path, NAME, secret=SECRET)[1]
    test.check("high_priority" in said, f"says why: {said}")
    edit_header(volume.device.path, lambda header: header["config"].update(flags=["of-tomorrow"]))
    said = cli.expect(test, cli.WRONG_USE, "open", "--key-file", "-", "--persistent",
                      volume.device.path, NAME, secret=SECRET)[1]
    test.check("not known" in said, f"says why: {said}")
    test.check(not dm.exists(NAME), "no mapping")
    open_volume(test, volume)
    close(test)


@tap.each("open: a header whose cipher would bring its own {0} is refused", [
    ("key", f"aes-xts-plain64 {'00' * 64} 0 7:0 32768 0"),
    ("missing key", "cipher_null-ecb - 0 /dev/null 32768 0"),
    ("line", "aes-xts-plain64\n"),
])
def test_forged_header(test, _what, cipher):
    volume = luks(test)
    edit_header(volume.device.path,
                lambda header: header["segments"]["0"].update(encryption=cipher))
    said = cli.run("open", "--key-file", "-", volume.device.path, NAME, secret=SECRET)
    test.check(said.returncode, "it fails")
    test.check(said.stderr.strip(), "and says so")
    test.check(not dm.exists(NAME), "no mapping")


@tap.test("open: the size of the integrity key is the header's")
def test_integrity_key_size(test):
    volume = luks(test, "--integrity", "hmac-sha256")
    open_volume(test, volume)
    written = volumes.fill(PATH)
    close(test)
    edit_header(volume.device.path,
                lambda header: header["segments"]["0"]["integrity"].update(key_size=32))
    open_volume(test, volume)
    test.check("integrity_key_size:32" in cli.status(test, NAME)["options"], "option of the table")
    test.equal(volumes.digest(PATH), written, "data")
    close(test)


@tap.test("close: a mapping without a table, which an open that was killed had left")
def test_half_made(test):
    volume = luks(test, "--integrity", "hmac-sha256")
    for fault in (f"{NAME}:{cli.CREATE}:1:stop", f"{NAME}:{cli.LOAD}:1:stop"):
        with cli.Running("open", "--key-file", "-", volume.device.path, NAME,
                         fault=fault) as running:
            running.type(SECRET)
            running.close_input()
            test.require(running.wait_for("T"), "it got there")
            running.process.kill()
            running.process.wait(60)
        if dm.exists(NAME):
            close(test)
        else:
            dm.remove(f"{NAME}_dif")
        test.check(not dm.exists(NAME) and not dm.exists(f"{NAME}_dif"), "nothing is left")


@tap.each("open: read-only{0}", [("", []), (", authenticated", ["--integrity", "hmac-sha256"])])
def test_readonly(test, _title, options):
    volume = luks(test, *options)
    open_volume(test, volume, "--readonly")
    test.check(cli.status(test, NAME)["read_only"], "status says so")
    test.raises(OSError, 1, blockdev.write, PATH, 0, bytes(4096))
    close(test)


@tap.test("open: the volume key itself, from a file")
def test_volume_key(test):
    for version in (1, 2):
        volume = luks(test, version=version)
        with tempfile.TemporaryDirectory() as directory:
            key = f"{directory}/key"
            volumes.cryptsetup("luksDump", "--batch-mode", "--dump-volume-key",
                               "--volume-key-file", key, "--key-file", "-", volume.device.path,
                               secret=SECRET)
            cli.ok(test, "open", "--volume-key-file", key, volume.device.path, NAME)
            written = volumes.fill(PATH)
            close(test)
            with open(key, "r+b") as file:
                file.write(b"another")
            cli.expect(test, cli.NO_PERMISSION, "open", "--volume-key-file", key,
                       volume.device.path, NAME)
        with volume.opened() as path:
            test.equal(volumes.digest(path), written, f"LUKS{version}: what was written")


@tap.test("open: a volume half way through reencryption is refused")
def test_reencrypting(test):
    volume = luks(test)
    volume = volumes.luks(volume.device, slots="2016k")
    volume.create()
    volumes.cryptsetup("reencrypt", "--init-only", "--batch-mode", "--key-file", "-",
                       *volumes.QUICK_KDF, volume.device.path, secret=SECRET)
    said = cli.expect(test, cli.WRONG_USE, "open", volume.device.path, NAME,
                      secret=SECRET)[1]
    test.check("reencrypt" in said, f"says why: {said}")


@tap.test("open: nothing stays when the mapping cannot be made")
def test_open_fails(test):
    volume = luks(test, "--integrity", "hmac-sha256")
    fault = f"{NAME}:{cli.LOAD}:1:12"
    ran = cli.run("open", volume.device.path, NAME, secret=SECRET, fault=fault)
    test.equal(ran.returncode, 3, f"status ({ran.stderr})")
    test.equal(volume.mappings(), [], "mappings")


@tap.test("close: what is in use stays, and goes later if told so")
def test_close(test):
    volume = luks(test)
    open_volume(test, volume)
    with open(PATH, "rb"):
        said = cli.expect(test, cli.BUSY, "close", NAME)[1]
        test.check("in use" in said, f"says why: {said}")
        test.check(dm.exists(NAME), "it is still there")
        cli.ok(test, "close", "--deferred", NAME)
        test.check(dm.exists(NAME), "it is still there")
    test.check(tap.poll(lambda: not dm.exists(NAME)), "it went when it was no longer used")


@tap.test("close and table: other targets' mappings are left alone")
def test_foreign(test):
    device = backing(test, 1)
    mapping = test.enter(dm.Mapping([(0, device.sectors, "linear", f"{device.dev} 0")]))
    for command in ("close", "table", "status", "convert"):
        cli.expect(test, cli.WRONG_USE, command, mapping.name)
    test.check(dm.exists(mapping.name), "it is still there")
    test.equal(json.loads(cli.ok(test, "status", "--json")), [], "status of all")


@tap.test("status: the size of a hidden key is not known, and not 0")
def test_hidden_key(test):
    device = backing(test, 1)
    line = f"aes-xts-plain64 {os.urandom(64).hex()} 0 {device.dev} 0"
    mapping = test.enter(dm.Mapping([(0, device.sectors, BULK, line)]))
    found = cli.status(test, mapping.name)
    test.equal((found["key_location"], found["key_size"]), ("hidden", None), "as JSON")
    text = cli.ok(test, "status", mapping.name)
    test.check(re.search("^  keysize: +-$", text, re.M), f"as text: {text}")


@tap.each("table: never a key, target {0}", [(BULK,), (dm.STOCK,)])
def test_table(test, target):
    device = backing(test, 1)
    key = os.urandom(64).hex()
    line = f"aes-xts-plain64 {key} 5 {device.dev} 8 2 allow_discards same_cpu_crypt"
    mapping = test.enter(dm.Mapping([(0, 1024, target, line)]))
    hide = kernel.Parameter("hide_keys", "N", "dm_crypt_bulk") if target == BULK else \
        contextlib.nullcontext()
    with hide:
        shown = dm.dmsetup("table", "--showkeys", mapping.name).stdout
        test.check(key in shown, "dmsetup is shown the key")
        printed, said = cli.expect(test, 0, "table", mapping.name)
        text = cli.ok(test, "status", mapping.name) + \
            cli.ok(test, "status", "--json", mapping.name)
    test.equal(printed, f"0 1024 {target} {line.replace(key, '-')}\n", "table")
    test.check(key not in text + said, "no key in what else it says")


def common_status(test, found, volume):
    test.equal({key: found[key] for key in
                ("name", "type", "target", "module", "cipher", "key_size", "key_location",
                 "device", "sector_size", "iv_offset", "options", "read_only", "suspended",
                 "in_use")},
               {"name": NAME, "type": "LUKS2", "target": BULK, "module": "dm_crypt_bulk",
                "cipher": "aes-xts-plain64", "key_size": 512, "key_location": "keyring",
                "device": volume.device.path, "sector_size": 512, "iv_offset": 0,
                "options": ["no_read_workqueue"], "read_only": False, "suspended": False,
                "in_use": False}, "status")
    line = dm.status(NAME)[0]
    test.equal((found["size"], found["offset"]), (line[1], int(line[3].split()[4])),
               "size and offset")


@tap.test("status: as JSON, with counters that count")
def test_status_json(test):
    volume = luks(test)
    open_volume(test, volume, "--perf-no_read_workqueue")
    before = cli.status(test, NAME)
    common_status(test, before, volume)
    test.equal(before["counters"], dm.stats(NAME), "counters")
    volumes.fill(PATH)
    counters = cli.status(test, NAME)["counters"]
    test.check(counters["writes_inline"] + counters["writes_queued"] >
               before["counters"]["writes_inline"] + before["counters"]["writes_queued"],
               "writes are counted")
    test.check(counters["allocated"] + counters["recycled"] + counters["from_reserve"] > 0,
               f"pages are counted: {counters}")
    since = subprocess.run(["date", "+%s", "-d", before["since"]], stdout=subprocess.PIPE,
                           check=True).stdout
    age = int(subprocess.run(["date", "+%s"], stdout=subprocess.PIPE).stdout) - int(since)
    test.check(-2 <= age < 60, f"the mapping's age in seconds: {age}")
    every = json.loads(cli.ok(test, "status", "--json"))
    test.equal([found["name"] for found in every], [NAME], "names in the list")
    dm.suspend(NAME)
    test.check(cli.status(test, NAME)["suspended"], "status says that it is suspended")
    dm.resume(NAME)


@tap.test("status: as text, on either target")
def test_status_text(test):
    volume = luks(test)
    open_volume(test, volume)
    text = cli.ok(test, "status", NAME)
    for words in (f"{PATH} is active.", "target:       crypt-bulk (module dm_crypt_bulk)",
                  "cipher:       aes-xts-plain64", "keysize:      512 bits",
                  "key location: keyring", f"device:       {volume.device.path}",
                  "options:      none", "pages_held:", "since:        20"):
        test.check(words in text, f"{words!r} in {text}")
    with open(PATH, "rb"):
        test.check("is active and is in use." in cli.ok(test, "status", NAME), "in use")
    close(test)
    with volume.opened():
        text = cli.ok(test, "status", NAME)
        test.check("target:       crypt (module dm_crypt)" in text, f"stock's target: {text}")
        test.check("pages_held" not in text, "stock counts nothing")
    said = cli.expect(test, 0, "status")[1]
    test.check("no mapping" in said, f"without any mapping: {said}")


@tap.test("status: who serves the name crypt is told")
def test_status_replaced(test):
    volume = luks(test)

    def unload():
        for module in kernel.MODULES.values():
            if kernel.loaded(module):
                kernel.rmmod(module)

    def reload():
        unload()
        for module in kernel.MODULES.values():
            kernel.modprobe(module)

    unload()
    test.defer(reload)
    volumes.provide(BULK)
    with volume.opened():
        found = cli.status(test, NAME)
        test.equal((found["target"], found["module"]), (dm.STOCK, "dm_crypt_bulk"), "both")
        test.check("pages_held" in found["counters"], "its counters are there too")


def volume_key(volume):
    with tempfile.TemporaryDirectory() as directory:
        volumes.cryptsetup("luksDump", "--batch-mode", "--dump-volume-key", "--volume-key-file",
                           f"{directory}/key", "--key-file", "-", volume.device.path,
                           secret=volume.secret)
        with open(f"{directory}/key", "rb") as file:
            return file.read()


@tap.test("memory: a passphrase is in locked memory, which no core file shows, while it is read")
def test_memory_reading(test):
    volume = luks(test)
    half = os.urandom(16).hex().encode()
    with cli.Running("open", volume.device.path, NAME) as running:
        running.type(half)
        test.require(tap.poll(lambda: running.holders(half)), "the program has it")
        for flags in running.holders(half):
            test.check({"lo", "dd", "wf"} <= set(flags), f"locked, not dumped, not forked: {flags}")
        with open(f"/proc/{running.process.pid}/limits") as file:
            cores = [line.split()[4:6] for line in file if line.startswith("Max core")]
        test.equal(cores, [["0", "0"]], "size of a core file")
    test.check(not dm.exists(NAME), "no mapping")


@tap.each("memory: neither passphrase nor key stay, {0}", [("LUKS1", 1), ("LUKS2", 2)])
def test_memory_after(test, _title, version):
    secret = os.urandom(12).hex().encode()
    volume = luks(test, version=version, secret=secret)
    key = volume_key(volume)
    with cli.Running("open", volume.device.path, NAME,
                     fault=f"{NAME}:{cli.LOAD}:1:stop") as running:
        running.type(secret + b"\n")
        test.require(running.wait_for("T"), "it came to where the table is loaded")
        test.equal(running.holders(secret), [], "memory with the passphrase, at the load")
        # LUKS1 is not known to libcryptsetup's use of the keyring: we have put the key there.
        holders = running.holders(key)
        test.equal(len(holders), 2 - version, "areas with the key, at the load")
        for flags in holders:
            test.check({"lo", "dd"} <= set(flags), f"a key is in locked memory only: {flags}")
        running.go_on()
        test.equal(running.process.wait(60), 0, "exit status")
    close(test)
    with cli.Running("open", volume.device.path, NAME,
                     fault=f"{NAME}:{cli.LOAD}:1:exit") as running:
        running.type(secret + b"\n")
        test.require(running.wait_for("T"), "it came to its end")
        for what, data in (("passphrase", secret), ("key", key), ("digits", key.hex().encode())):
            test.equal(running.holders(data), [], f"memory with the {what}, at the end")
        running.go_on()
        test.equal(running.process.wait(60), 0, "exit status")


def run_asan(test, wanted, *args, secret=b""):
    cli.expect(test, wanted, *args, secret=secret, path=cli.ASAN)


@tap.each("memory: no leak and no misuse, by AddressSanitizer: {0}",
          [("LUKS1", 1, []), ("LUKS2", 2, []), ("authenticated LUKS2", 2,
                                                ["--integrity", "hmac-sha256"])], sample=1)
def test_asan(test, _title, version, options):
    path = luks(test, *options, version=version).device.path
    run_asan(test, cli.NO_PERMISSION, "open", path, NAME, secret=b"wrong")
    run_asan(test, 0, "open", path, NAME, secret=SECRET)
    run_asan(test, cli.BUSY, "open", path, NAME, secret=SECRET)
    for args in (["status"], ["status", NAME], ["status", "--json"], ["table", NAME]):
        run_asan(test, 0, *args)
    run_asan(test, cli.NO_PERMISSION, "convert", NAME, "--to", "crypt", secret=b"wrong")
    run_asan(test, 0, "convert", NAME, "--to", "crypt", secret=SECRET)
    run_asan(test, 0, "convert", NAME, secret=SECRET)
    run_asan(test, 0, "close", NAME)


@tap.test("memory: no leak and no misuse, by AddressSanitizer: plain, and wrong usage")
def test_asan_usage(test):
    volumes.forget(test)
    plain = ["open", *PLAIN, "--hash", "sha256", backing(test).path, NAME]
    run_asan(test, 0, *plain, secret=SECRET)
    run_asan(test, 0, "close", NAME)
    for args in (["--help"], ["open", "--help"], ["--version"]):
        run_asan(test, 0, *args)
    for args in ([], ["nonsense"], ["open"], ["open", "--bad"], ["status", "a", "b", "c"]):
        run_asan(test, cli.WRONG_USE, *args)


if __name__ == "__main__":
    kernel.hurry_rcu()
    kernel.open_crypto_api()
    kernel.modprobe("dm-crypt-bulk")
    tap.main()
