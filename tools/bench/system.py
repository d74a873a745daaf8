# SPDX-License-Identifier: GPL-2.0-only
"""Commands, kernel modules and the kernel's log."""

import os
import re
import shutil
import signal
import subprocess
import time


class BenchError(Exception):
    """Something that the user should read; no traceback."""


class UsageError(BenchError):
    """The command line asks for what cannot be."""


class Interrupted(BaseException):
    """A signal that asks to stop; carries its number."""


STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def stop_on_signals():
    """Turn the first stopping signal into an exception; the clean-up that follows is not to be
    interrupted by another."""

    def stop(number, _frame):
        ignore_signals()
        raise Interrupted(number)

    for each in STOPPING:
        signal.signal(each, stop)


def ignore_signals():
    for each in STOPPING:
        signal.signal(each, signal.SIG_IGN)


class Resources:
    """Everything in the kernel that has to be taken down again, whatever happens.

    A resource has open() and close(); close() undoes as much of open() as was done, may be called
    again, and returns a list of sentences about what it could not undo. A resource is in the list
    before it is opened and until it is closed, so an exception at any point loses none.
    """

    def __init__(self):
        self.held = []

    def open(self, resource):
        self.held.append(resource)
        resource.open()
        return resource

    def close(self, resource):
        if resource not in self.held:
            return
        problems = resource.close()
        if problems:
            raise BenchError("; ".join(problems))
        self.held.remove(resource)

    def close_all(self):
        """Returns what could not be undone."""
        ignore_signals()
        problems = []
        while self.held:
            problems += self.held.pop().close()
        return problems


def run(command, stdin="", check=True):
    """Run a command; returns what subprocess.Popen knows, with .out and .err as text.

    It gets a session of its own: a Ctrl-C is for this program, which then decides what happens to
    the command, and must not break the commands that clean up.
    """
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        child.out, child.err = child.communicate(stdin)
    except BaseException:
        end(child)
        raise
    if check and child.returncode:
        raise BenchError(f"{command[0]} failed: {(child.err or child.out).strip()}")
    return child


def end(child):
    """End a command with everything it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
            child.communicate(timeout=5)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def require_root():
    if os.geteuid() != 0:
        raise BenchError("must be run as root: it makes device-mapper devices")


def require_commands(packages):
    """packages: command name -> Debian package that has it."""
    # A root shell started with a plain su lacks the sbin directories.
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    missing = [name for name in packages if not shutil.which(name)]
    if missing:
        install = " ".join(sorted({packages[name] for name in missing}))
        raise BenchError(f"not found: {', '.join(missing)}; try: apt install {install}")


def module_loaded(name):
    return os.path.isdir(f"/sys/module/{name}")


def load_module(name, *parameters, dry_run=False):
    """True when the module is there afterwards; or could be, on a dry run."""
    dry = ["--dry-run"] if dry_run else []
    return run(["modprobe", "-q", *dry, name, *parameters], check=False).returncode == 0


def unload_module(name):
    """Returns the reason when it did not work, else an empty string."""
    for _ in range(20):
        result = run(["modprobe", "-r", name], check=False)
        if not result.returncode:
            return ""
        time.sleep(0.1)  # udev may still look at the device
    return result.err.strip()


def kernel_log():
    """The lines of the kernel's log since it was booted, as far as they are still there."""
    return run(["dmesg"], check=False).out.splitlines()


class KernelLog:
    """What the kernel said about device-mapper since this object was made."""

    def __init__(self):
        try:
            self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
            os.lseek(self.fd, 0, os.SEEK_END)
        except OSError:
            self.fd = None

    def complaints(self):
        lines = []
        while self.fd is not None:
            try:
                record = os.read(self.fd, 8192).decode(errors="replace")
            except BrokenPipeError:
                continue  # overwritten before it was read; the next one follows
            except OSError:
                break
            text = record.partition(";")[2].partition("\n")[0]
            if re.match(r"device-mapper: table:", text):
                lines.append(text)
        return lines

    def close(self):
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
