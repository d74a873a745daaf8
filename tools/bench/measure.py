# SPDX-License-Identifier: GPL-2.0-only
"""One load on both mappings in turn, and what the runs say together."""

from dataclasses import dataclass
from statistics import median

from . import fio

# A fresh mapping is up to 20 % slower at first; this part of a run's time warms it up.
WARM_UP = 0.4


@dataclass(frozen=True)
class Outcome:
    stock: list
    bulk: list

    def ratios(self):
        """Neighbouring runs are compared with each other: what disturbs a machine for a while
        then disturbs both sides of a ratio."""
        return [b.iops / s.iops for s, b in zip(self.stock, self.bulk)]

    def ratio(self):
        return median(self.ratios())


def middle(results, field):
    return median(getattr(each, field) for each in results)


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
        "lat_percentiles": 1,
        "clat_percentiles": 1,
        "percentile_list": "50:99",
    }
    if load.iodepth >= 4:
        options["iodepth_batch"] = 4
    return options


def measure(stock, bulk, load, rounds, seconds):
    """All runs are jobs of one fio, one after the other: starting it costs more than a run."""
    arms = (("stock", stock), ("bulk", bulk))

    def job(name, mapping, duration):
        options = {"stonewall": None, "filename": mapping.path}
        return (name, {**options, "runtime": f"{round(duration * 1000)}ms"})

    jobs = [job(f"warm-{name}", mapping, seconds * WARM_UP) for name, mapping in arms]
    for _ in range(rounds):
        jobs += [job(name, mapping, seconds) for name, mapping in arms]
    # While its last job runs, with none waiting, fio itself takes a little more of the CPU
    # (0.25 % with one CPU): let that be a job that does not count.
    jobs.append(job("last", stock, seconds * WARM_UP / 4))
    results = fio.run_jobs(global_options(load), jobs)
    outcome = Outcome(
        *([result for result in results if result.name == name] for name, _ in arms)
    )
    if not len(outcome.stock) == len(outcome.bulk) == rounds:
        raise fio.BenchError("fio did no I/O in some of its runs; try a larger --seconds")
    return outcome
