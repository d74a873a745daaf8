# SPDX-License-Identifier: GPL-2.0-only
"""The table for people and the JSON for programs."""

import json
import os

from .measure import middle, spread
from .system import BenchError

# Marks that --json - puts around the JSON among other output.
JSON_BEGIN = "-----BEGIN CRYPT-BULK-BENCH JSON-----"
JSON_END = "-----END CRYPT-BULK-BENCH JSON-----"


def kernel_version():
    """The harness's name of the kernel, else its first two numbers."""
    return os.environ.get("DCB_KERNEL") or ".".join(os.uname().release.split(".")[:2])


def record(setup, load, outcome, context):
    """One measured row as a program reads it; context is the same for all rows of a run."""
    stock = [each.iops for each in outcome.stock]
    bulk = [each.iops for each in outcome.bulk]
    ratios = outcome.ratios()
    return {
        "kernel": kernel_version(),
        "cipher": setup.cipher.name,
        "sector_size": setup.sector_size,
        "rw": load.rw,
        "bs": load.bs,
        "iodepth": load.iodepth,
        "flags": setup.flags.name,
        "clock": context["clock"],
        "stock_iops": round(middle(outcome.stock, "iops"), 2),
        "bulk_iops": round(middle(outcome.bulk, "iops"), 2),
        "ratio": round(outcome.ratio(), 4),
        "ratio_min": round(min(ratios), 4),
        "ratio_max": round(max(ratios), 4),
        "stock_mib_s": round(middle(outcome.stock, "mib_s"), 2),
        "bulk_mib_s": round(middle(outcome.bulk, "mib_s"), 2),
        "stock_spread": round(spread(stock), 4),
        "bulk_spread": round(spread(bulk), 4),
        "stock_lat_p99_us": round(middle(outcome.stock, "lat_p99"), 2),
        "bulk_lat_p99_us": round(middle(outcome.bulk, "lat_p99"), 2),
        "stock_clat_p99_us": round(middle(outcome.stock, "clat_p99"), 2),
        "bulk_clat_p99_us": round(middle(outcome.bulk, "clat_p99"), 2),
        "stock_iops_rounds": [round(each, 2) for each in stock],
        "bulk_iops_rounds": [round(each, 2) for each in bulk],
        "cipher_spec": setup.cipher.spec,
        "key_bits": setup.cipher.key_bits,
        "options": " ".join(setup.options()),
        **context,
    }


COLUMNS = (
    # heading, field or function, format
    ("cipher", "cipher", "<"),
    ("sector", "sector_size", ">"),
    ("rw", "rw", "<"),
    ("bs", "bs", ">"),
    ("QD", "iodepth", ">"),
    ("options", "flags", "<"),
    ("stock IOPS", lambda row: figure(row["stock_iops"]), ">"),
    ("MiB/s", lambda row: figure(row["stock_mib_s"]), ">"),
    ("bulk IOPS", lambda row: figure(row["bulk_iops"]), ">"),
    ("MiB/s", lambda row: figure(row["bulk_mib_s"]), ">"),
    ("ratio", lambda row: f"{row['ratio']:.3f}", ">"),
    ("min-max", lambda row: f"{row['ratio_min']:.3f}-{row['ratio_max']:.3f}", ">"),
    ("p99 stock", lambda row: duration(row["stock_lat_p99_us"]), ">"),
    ("p99 bulk", lambda row: duration(row["bulk_lat_p99_us"]), ">"),
)


def figure(value):
    return f"{value:.0f}" if value >= 1000 else f"{value:.1f}"


def duration(microseconds):
    if microseconds >= 1000:
        return f"{microseconds / 1000:.2f} ms"
    return f"{microseconds:.1f} us"


def table(records):
    rows = [[heading for heading, _, _ in COLUMNS]]
    for each in records:
        rows.append([str(f(each) if callable(f) else each[f]) for _, f, _ in COLUMNS])
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = (f"{cell:{c[2]}{w}}" for cell, c, w in zip(row, COLUMNS, widths))
        lines.append("  ".join(cells).rstrip())
    return lines


def heading(records):
    """What holds for all rows, once."""
    lines = []
    for label, describe in (
        ("kernel", lambda row: row["release"]),
        ("device", lambda row: f"{row['device_name']}, {row['device_mib']} MiB"),
        ("clock", lambda row: f"{row['clock']}, {row['cpus']} CPU"),
        ("runs", lambda row: f"{row['rounds']} of {row['seconds']:g} s on each, in turn"),
        ("targets", lambda row: row["targets"]),
        ("fio", lambda row: row["fio"]),
    ):
        lines.append(f"{label + ':':9}{' | '.join(sorted({describe(row) for row in records}))}")
    return lines


NOTES = (
    "ratio: bulk IOPS / stock IOPS, the median over the rounds; min-max: its extremes",
    "p99:   99th percentile of the latency from submission to completion",
)


def text(records):
    clocks = {each["clock"] for each in records}
    notes = list(NOTES)
    if "instructions" in clocks:
        notes.append("clock: a second is 10^9 instructions; waiting and caches do not count")
    return "\n".join([*heading(records), "", *table(records), "", *notes])


def to_json(records):
    return "[\n" + ",\n".join(json.dumps(each) for each in records) + "\n]\n"


def write_json(records, where):
    if where == "-":
        print(JSON_BEGIN, to_json(records).rstrip("\n"), JSON_END, sep="\n", flush=True)
        return
    # Never half a file where a whole one was.
    temporary = f"{where}.new"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(to_json(records))
    os.replace(temporary, where)


def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            content = file.read()
        # A file may also be the captured output of a run with --json -.
        if JSON_BEGIN in content:
            content = content.partition(JSON_BEGIN)[2].partition(JSON_END)[0]
        records = json.loads(content)
        if not all(each["ratio"] for each in records):
            raise ValueError("a row has no ratio")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BenchError(f"--show: {path} has no results of this program: {error}") from error
    return records
