# SPDX-License-Identifier: GPL-2.0-only
"""Memory that a crypt-bulk mapping holds for its writes: at rest, under load, and after it."""

import threading
import time

from . import fio
from .measure import at_once, global_options
from .system import run

# After this long an idle mapping should have given back what it kept.
AFTER = 10
INTERVAL = 0.05

FIELDS = {"held": "pages_held", "idle": "pages_idle", "reserve": "pages_reserve"}


class NoStatistics(Exception):
    """The module does not tell."""


def sample(mapping):
    """In pages: held (taken from the page allocator), and of these idle and reserve."""
    answer = run(["dmsetup", "message", mapping.name, "0", "stats"], check=False)
    if answer.returncode:
        raise NoStatistics("this crypt-bulk does not know the message stats")
    fields = dict(line.split(None, 1) for line in answer.out.splitlines() if " " in line)
    try:
        return {name: int(fields[field]) for name, field in FIELDS.items()}
    except (KeyError, ValueError) as error:
        raise NoStatistics(f"the answer to the message stats lacks {error}") from error


class Sampler(threading.Thread):
    """Takes samples until told to stop, and keeps the most of each."""

    def __init__(self, mapping):
        super().__init__(daemon=True)
        self.mapping = mapping
        self.most = dict.fromkeys(FIELDS, 0)
        self.failure = None
        self.ended = threading.Event()

    def run(self):
        try:
            while not self.ended.wait(INTERVAL):
                now = sample(self.mapping)
                self.most = {name: max(most, now[name]) for name, most in self.most.items()}
        except NoStatistics as failure:
            self.failure = failure

    def stop(self):
        self.ended.set()
        self.join()
        if self.failure:
            raise self.failure


def measure(mapping, load, seconds):
    """The load runs for at least a second, apart from what is timed: taking samples costs."""
    rest = sample(mapping)
    sampler = Sampler(mapping)
    sampler.start()
    try:
        fio.run_jobs(global_options(load), at_once("memory", [mapping.path], max(seconds, 1)))
    finally:
        sampler.stop()
    time.sleep(AFTER)
    return {
        "rest": rest, "load": sampler.most, "after": sample(mapping), "after_seconds": AFTER,
    }
