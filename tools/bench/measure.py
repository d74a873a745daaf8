# SPDX-License-Identifier: GPL-2.0-only
"""One load on the mappings of all arms in turn, and what the runs say together."""

from dataclasses import dataclass
from statistics import median

from . import fio

# A fresh mapping is up to 20 % slower at first; this part of a run's time warms it up, or so many
# seconds if that is more.
WARM_UP = 0.4
LEAST_WARM_UP = 0.2


@dataclass(frozen=True)
class Outcome:
    """The results of each arm's runs, by the arm's name."""

    runs: dict

    def ratios(self, arm, base):
        """Neighbouring runs are compared with each other: what disturbs a machine for a while
        then disturbs both sides of a ratio."""
        return [a.iops / b.iops for a, b in zip(self.runs[arm], self.runs[base])]

    def iops(self, arm):
        return [each.iops for each in self.runs[arm]]

    def middle(self, arm, field):
        return median(getattr(each, field) for each in self.runs[arm])


def spread(values):
    """Largest minus smallest, as a part of the median."""
    return (max(values) - min(values)) / median(values)


def global_options(load):
    options = {
        "rw": load.rw,
        "bs": load.bs,
        "ioengine": "libaio",
        "direct": 1,
        "iodepth": load.iodepth,
        "time_based": 1,
        "group_reporting": 1,
        "lat_percentiles": 1,
        "clat_percentiles": 1,
        "percentile_list": "50:99",
    }
    if load.iodepth >= 4:
        options["iodepth_batch"] = 4
    return options


def at_once(name, paths, seconds):
    """fio's jobs for one run: a writer or reader for each path, all at the same time. They begin
    when what stands before them has ended, and are reported as one."""
    first = {"stonewall": None}
    runtime = f"{round(seconds * 1000)}ms"
    return [
        (name, {**({} if index else first), "filename": path, "runtime": runtime})
        for index, path in enumerate(paths)
    ]


def measure(arms, load, rounds, seconds):
    """arms: for each name, the paths that a run uses at once, in the order of the runs.

    All runs are jobs of one fio, one after the other: starting it costs more than a run. Every
    second round goes the other way round: results differ between odd and even places in fio's
    list of jobs (by 9 % for 1 MiB on dm-linear), probably since its buffer gets the pages that the
    job before freed, in turned order. In two rounds each arm has both."""
    jobs = []
    for name, paths in arms.items():
        jobs += at_once(f"warm-{name}", paths, max(seconds * WARM_UP, LEAST_WARM_UP))
    for number in range(rounds):
        turn = list(arms.items())
        for name, paths in turn[::-1] if number % 2 else turn:
            jobs += at_once(name, paths, seconds)
    # While its last job runs, with none waiting, fio itself takes a little more of the CPU
    # (0.25 % with one CPU): let that be a job that does not count.
    jobs += at_once("last", next(iter(arms.values()))[:1], seconds * WARM_UP / 4)
    results = fio.run_jobs(global_options(load), jobs)
    outcome = Outcome({
        name: [result for result in results if result.name == name] for name in arms
    })
    if any(len(runs) != rounds for runs in outcome.runs.values()):
        raise fio.BenchError("fio did no I/O in some of its runs; try a larger --seconds")
    return outcome
