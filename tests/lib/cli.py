# SPDX-License-Identifier: GPL-2.0
"""The program crypt-bulk, as tests/program/build made it, and looking at it while it runs."""

import json
import os
import subprocess

import tap

_DIRECTORY = os.environ.get("DCB_PROGRAM", "/mnt/share/extra")
PATH = f"{_DIRECTORY}/crypt-bulk"
# The same program, which ends with this status when it misuses its memory or loses any.
ASAN = f"{_DIRECTORY}/crypt-bulk-asan"
_ASAN_STATUS = 99

# Requests to device-mapper, by their numbers
CREATE, RESUME, LOAD = 3, 6, 9

WRONG_USE, NO_PERMISSION, NO_DEVICE, BUSY = 1, 2, 4, 5


def environment(fault):
    """What it finds there, with a fault as tests/program/fault.c says, or None."""
    found = dict(os.environ, ASAN_OPTIONS=f"exitcode={_ASAN_STATUS}",
                 UBSAN_OPTIONS=f"exitcode={_ASAN_STATUS}")
    if fault:
        found.update(LD_PRELOAD=f"{_DIRECTORY}/fault.so", FAULT=fault)
    return found


def run(*args, secret=b"", fault=None, path=PATH):
    """Run it. A secret comes by standard input, a pipe; a fault as tests/program/fault.c says."""
    return subprocess.run([path, *args], input=secret, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=environment(fault), check=False)


def expect(test, status, *args, **how):
    """Run it, which has to end so; what it printed, and what it said."""
    ran = run(*args, **how)
    said = ran.stderr.decode(errors="replace")
    test.require(ran.returncode == status,
                 f"crypt-bulk {' '.join(args)}: status {ran.returncode}, wanted {status}: {said}")
    return ran.stdout.decode(), said


def ok(test, *args, **how):
    return expect(test, 0, *args, **how)[0]


def status(test, name):
    return json.loads(ok(test, "status", name, "--json"))


class Running:
    """It, while it runs."""

    def __init__(self, *args, fault=None):
        self.process = subprocess.Popen([PATH, *args], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment(fault))

    def type(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def close_input(self):
        self.process.stdin.close()
        # communicate() would flush it.
        self.process.stdin = None

    def state(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0]

    def wait_for(self, state):
        """Until it sleeps (S), or was stopped (T)."""
        return tap.poll(lambda: self.state() == state)

    def go_on(self):
        os.kill(self.process.pid, 18)

    def areas(self):
        """Its memory: (contents, flags) of each area that can be read."""
        found = []
        base = f"/proc/{self.process.pid}"
        with open(f"{base}/smaps") as maps, open(f"{base}/mem", "rb", 0) as memory:
            start = end = 0
            for line in maps:
                words = line.split()
                if not words[0].endswith(":"):
                    start, end = (int(part, 16) for part in words[0].split("-"))
                elif words[0] == "VmFlags:" and "rd" in words:
                    try:
                        memory.seek(start)
                        found.append((memory.read(end - start), words[1:]))
                    except (OSError, OverflowError):
                        # Pages that are the kernel's own.
                        continue
        return found

    def holders(self, secret):
        """The flags of each area that has these bytes in it."""
        return [flags for data, flags in self.areas() if secret in data]

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
