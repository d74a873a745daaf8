#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""crypt-bulk doctor: what it finds on machines that are made up of their files."""

import os
import re
import tempfile
from pathlib import Path

import cli
import tap

RELEASE = "6.1.0-56-amd64"
MODULES = f"lib/modules/{RELEASE}"
PARAMETERS = "sys/module/dm_crypt_bulk/parameters"
SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
MOK_LIST = "sys/firmware/efi/mok-variables/MokListRT"
CERT = os.urandom(600)
ON, OFF = b"\6\0\0\0\1", b"\6\0\0\0\0"

# A machine on which all is well and the module is loaded
LOADED = {
    "proc/sys/kernel/osrelease": f"{RELEASE}\n",
    "proc/cpuinfo": "flags\t\t: fpu aes avx\n",
    "proc/crypto": "driver       : xts-aes-aesni\n",
    "sys/module/dm_crypt_bulk/version": "{version}\n",
    f"{PARAMETERS}/hide_keys": "Y\n",
    f"{PARAMETERS}/single_page": "N\n",
    f"{PARAMETERS}/recycle": "Y\n",
    f"{PARAMETERS}/pool_fail": "0\n",
    f"{PARAMETERS}/replace_stock": "N\n",
}
# The same before it has been loaded
INSTALLED = {
    **{path: text for path, text in LOADED.items() if not path.startswith("sys/module")},
    "usr/sbin/dkms": "",
    "usr/src/dm-crypt-bulk-{version}/dkms.conf": "",
    f"{MODULES}/build/Makefile": "",
    f"{MODULES}/modules.dep": "updates/dkms/dm-crypt-bulk.ko.xz: kernel/drivers/md/dm-mod.ko.xz\n",
}
MISSING = {f"{MODULES}/modules.dep": "kernel/drivers/md/dm-crypt.ko.xz:\n"}
STOCK = {"sys/module/dm_crypt/refcnt": "0\n"}
WISH = "etc/modprobe.d/dm-crypt-bulk.conf"
SWITCH = "etc/modprobe.d/dm-crypt-bulk-replace.conf"
SWITCHED_ON = Path(__file__).parents[2].joinpath("packaging/dkms/replace-stock.conf").read_text()

# Title, the machine, what is different on it (None: not there), and the commands that are told
MACHINES = [
    ("all is well, loaded", LOADED, {}, []),
    ("all is well, not loaded yet", INSTALLED, {}, []),
    ("Linux 5.10", LOADED, {"proc/sys/kernel/osrelease": "5.10.0-1-amd64\n"},
     ["boot a kernel from Linux 6.1 to 7.3"]),
    ("Linux 7.4", LOADED, {"proc/sys/kernel/osrelease": "7.4-amd64\n"},
     ["boot a kernel from Linux 6.1 to 7.3"]),
    ("Linux 7.3", LOADED, {"proc/sys/kernel/osrelease": "7.3.1+deb13-amd64\n"}, []),
    ("nothing installed", INSTALLED,
     {**MISSING, "usr/sbin/dkms": None, "usr/src/dm-crypt-bulk-{version}/dkms.conf": None,
      f"{MODULES}/build/Makefile": None},
     ["apt install dkms", "apt install ./dist/dm-crypt-bulk-dkms_",
      f"apt install linux-headers-{RELEASE}"]),
    ("no headers", INSTALLED, {**MISSING, f"{MODULES}/build/Makefile": None},
     [f"apt install linux-headers-{RELEASE}"]),
    ("headers of another kernel", INSTALLED,
     {**MISSING, f"{MODULES}/build/Makefile": None,
      "usr/src/linux-headers-6.1.0-55-amd64/Makefile": ""},
     [f"apt install linux-headers-{RELEASE}"]),
    ("headers where the link cannot be followed", INSTALLED,
     {**MISSING, f"{MODULES}/build/Makefile": None,
      f"usr/src/linux-headers-{RELEASE}/Makefile": ""},
     ["dkms install dm-crypt-bulk/{version} -k " + RELEASE]),
    ("not built", INSTALLED, MISSING, ["dkms install dm-crypt-bulk/{version} -k " + RELEASE]),
    ("no modules.dep", INSTALLED, {f"{MODULES}/modules.dep": None},
     ["dkms install dm-crypt-bulk/{version} -k " + RELEASE]),
    ("Secure Boot off", INSTALLED, {SECURE_BOOT: OFF}, []),
    ("Secure Boot without a key", INSTALLED, {SECURE_BOOT: ON}, ["dkms generate_mok"]),
    ("Secure Boot with a key not enrolled", INSTALLED,
     {SECURE_BOOT: ON, "var/lib/dkms/mok.pub": CERT, MOK_LIST: os.urandom(2000)},
     ["mokutil --import /var/lib/dkms/mok.pub, then reboot"]),
    ("Secure Boot with the key enrolled", INSTALLED,
     {SECURE_BOOT: ON, "var/lib/dkms/mok.pub": CERT, MOK_LIST: b"other" * 99 + CERT + b"end"}, []),
    ("Secure Boot, and the module is loaded", LOADED, {SECURE_BOOT: ON}, []),
    ("both modules, as it should be", LOADED, STOCK, []),
    ("stock was first", LOADED,
     {**STOCK, WISH: "# a comment\noptions dm-crypt-bulk replace_stock=1\n"},
     ["modprobe -r dm-crypt dm-crypt-bulk; modprobe dm-crypt-bulk replace_stock=1"]),
    ("stock was first, with dm-crypt-bulk-replace", LOADED, {**STOCK, SWITCH: SWITCHED_ON},
     ["modprobe -r dm-crypt dm-crypt-bulk; modprobe dm-crypt-bulk replace_stock=1"]),
    ("stock was first and is in use", LOADED,
     {"sys/module/dm_crypt/refcnt": "2\n", WISH: "options dm_crypt_bulk replace_stock=1\n"},
     ["update-initramfs -u, then reboot"]),
    ("the wish is a comment", LOADED,
     {**STOCK, WISH: "#options dm-crypt-bulk replace_stock=1\n"}, []),
    ("keys are shown", LOADED, {f"{PARAMETERS}/hide_keys": "N\n"},
     [f"echo Y > /{PARAMETERS}/hide_keys"]),
    ("parameters for testing", LOADED,
     {f"{PARAMETERS}/single_page": "Y\n", f"{PARAMETERS}/recycle": "N\n",
      f"{PARAMETERS}/pool_fail": "3\n"},
     [f"echo N > /{PARAMETERS}/single_page", f"echo Y > /{PARAMETERS}/recycle",
      f"echo 0 > /{PARAMETERS}/pool_fail"]),
    ("AES in software", LOADED, {"proc/crypto": "driver       : xts(ecb(aes-generic))\n"},
     ["modprobe aesni_intel"]),
    ("a processor without AES", LOADED,
     {"proc/cpuinfo": "flags\t\t: fpu avx\n", "proc/crypto": ""}, []),
]


def make(root, files, version):
    for path, content in files.items():
        if content is None:
            continue
        whole = os.path.join(root, path.replace("{version}", version))
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        if isinstance(content, str):
            content = content.replace("{version}", version).encode()
        with open(whole, "wb") as file:
            file.write(content)


def version(test):
    return cli.ok(test, "--version").split()[1]


@tap.each("doctor: {0}", MACHINES)
def test_machine(test, _title, machine, different, wanted):
    ours = version(test)
    with tempfile.TemporaryDirectory() as root:
        make(root, {**machine, **different}, ours)
        for path in (cli.PATH, cli.ASAN):
            printed, _ = cli.expect(test, 1 if wanted else 0, "doctor", "--sysroot", root,
                                    path=path)
            found = re.findall(r"^problem: .+\n  do: (.*)$", printed, re.MULTILINE)
            test.equal(len(found), len(wanted), f"problems in\n{printed}")
            for command in wanted:
                command = command.replace("{version}", ours)
                test.check(any(line.startswith(command) for line in found),
                           f"{command!r} in {found}")
            test.equal("No problems found." in printed, not wanted, "no problems")


@tap.test("doctor: a module of another version is no problem, but told")
def test_version(test):
    with tempfile.TemporaryDirectory() as root:
        make(root, LOADED, "0.0.9")
        printed = cli.ok(test, "doctor", "--sysroot", root)
        test.check("note: the module that is loaded is of another version" in printed, printed)


@tap.test("doctor: a directory that is no machine")
def test_nothing(test):
    with tempfile.TemporaryDirectory() as root:
        cli.expect(test, cli.WRONG_USE, "doctor", "--sysroot", root)


if __name__ == "__main__":
    tap.main()
