# SPDX-License-Identifier: GPL-2.0-only
"""fio's job files and its JSON output."""

import json
from dataclasses import dataclass

from .system import BenchError, run


@dataclass(frozen=True)
class JobResult:
    """One job's one direction. Times in microseconds."""

    name: str
    rw: str
    iops: float
    mib_s: float
    ios: int
    runtime_ms: int
    lat_p50: float
    lat_p99: float  # submission to completion
    clat_p99: float  # from when the submission returned
    slat_mean: float


def job_file(global_options, jobs):
    """jobs: list of (name, options); options whose value is None stand alone."""

    def section(name, options):
        lines = [key if value is None else f"{key}={value}" for key, value in options.items()]
        return "\n".join([f"[{name}]", *lines, ""])

    return "\n".join([section("global", global_options), *(section(*job) for job in jobs)])


def parse(text):
    """The results in fio's JSON output, in its jobs' order, one for each direction used."""
    start = text.find("{")  # fio may put notes before it
    try:
        jobs = json.loads(text[start:])["jobs"] if start >= 0 else None
    except (json.JSONDecodeError, KeyError):
        jobs = None
    if jobs is None:
        raise BenchError(f"fio's output is not what was expected: {text.strip()[:500]}")
    results = []
    for job in jobs:
        if job["error"]:
            raise BenchError(f"fio: job {job['jobname']} failed with error {job['error']}")
        for rw in ("read", "write", "trim"):
            if job[rw]["total_ios"]:
                results.append(_direction(job, rw))
    return results


def _direction(job, rw):
    figures = job[rw]
    return JobResult(
        name=job["jobname"],
        rw=rw,
        iops=figures["iops"],
        mib_s=figures["bw_bytes"] / (1 << 20),
        ios=figures["total_ios"],
        runtime_ms=figures["runtime"],
        lat_p50=_percentile(figures["lat_ns"], 50),
        lat_p99=_percentile(figures["lat_ns"], 99),
        clat_p99=_percentile(figures["clat_ns"], 99),
        slat_mean=figures.get("slat_ns", {}).get("mean", 0.0) / 1000,
    )


def _percentile(latency, wanted):
    for name, value in latency.get("percentile", {}).items():
        if float(name) == wanted:
            return value / 1000
    return 0.0


def run_jobs(global_options, jobs):
    """Run a job file and return its results."""
    result = run(
        ["fio", "--output-format=json", "--eta=never", "-"],
        job_file(global_options, jobs),
        check=False,
    )
    if result.returncode:
        reason = (result.err.strip() or result.out.strip()).splitlines()
        raise BenchError(f"fio failed: {' / '.join(reason[:5]) or result.returncode}")
    return parse(result.out)
