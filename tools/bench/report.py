# SPDX-License-Identifier: GPL-2.0-only
"""The table for people and the JSON for programs."""

import json
import os
from statistics import median

from .measure import spread
from .system import BenchError

# Marks that --json - puts around the JSON among other output.
JSON_BEGIN = "-----BEGIN CRYPT-BULK-BENCH JSON-----"
JSON_END = "-----END CRYPT-BULK-BENCH JSON-----"

# Two rows that agree in these measured the same thing.
IDENTITY = (
    "kernel", "cipher", "sector_size", "rw", "bs", "iodepth", "flags", "clock", "device", "cpus",
    "mappings", "memory", "init_on_alloc", "max_write_size",
)


def kernel_version():
    """The harness's name of the kernel, else its first two numbers."""
    return os.environ.get("DCB_KERNEL") or ".".join(os.uname().release.split(".")[:2])


def record(setup, load, outcome, context):
    """One measured row as a program reads it; context is what the caller knows besides."""
    row = {
        "kernel": kernel_version(),
        "cipher": setup.cipher.name,
        "sector_size": setup.sector_size,
        "rw": load.rw,
        "bs": load.bs,
        "iodepth": load.iodepth,
        "flags": setup.flags.name,
        "clock": context["clock"],
    }
    row.update((f"{name}_iops", round(outcome.middle(name, "iops"), 2)) for name in outcome.runs)
    row.update(_ratios("ratio", outcome.ratios("bulk", "stock")))
    for name in outcome.runs:
        if name not in ("stock", "bulk", "linear"):
            row.update(_ratios(f"ratio_{name}", outcome.ratios("bulk", name)))
    for name in outcome.runs:
        row.update(_figures(name, outcome))
    return {
        **row,
        "cipher_spec": setup.cipher.spec,
        "key_bits": setup.cipher.key_bits,
        "options": " ".join(setup.options()),
        **context,
    }


def _ratios(name, ratios):
    return {
        name: round(median(ratios), 4),
        f"{name}_min": round(min(ratios), 4),
        f"{name}_max": round(max(ratios), 4),
    }


def _figures(name, outcome):
    iops = outcome.iops(name)
    return {
        f"{name}_mib_s": round(outcome.middle(name, "mib_s"), 2),
        f"{name}_spread": round(spread(iops), 4),
        f"{name}_lat_p99_us": round(outcome.middle(name, "lat_p99"), 2),
        f"{name}_clat_p99_us": round(outcome.middle(name, "clat_p99"), 2),
        f"{name}_iops_rounds": [round(each, 2) for each in iops],
    }


def overhead(outcome, cipher):
    """What a MiB costs beyond dm-linear and the cipher alone, in ns; cipher is of cipher.cost()."""
    cost = {name: 1e9 / outcome.middle(name, "mib_s") for name in outcome.runs}
    floor = cost["linear"] + cipher["whole"]
    above = {name: cost[name] - floor for name in cost if name != "linear"}
    return {
        "cipher_ns_mib": round(cipher["whole"]),
        "cipher_by_sector_ns_mib": round(cipher["by_sector"]),
        "linear_ns_mib": round(cost["linear"]),
        "floor_ns_mib": round(floor),
        **{f"{name}_overhead_ns_mib": round(value) for name, value in above.items()},
        "ratio_overhead": round(above["bulk"] / above["stock"], 4),
    }


COLUMNS = (
    # heading, field or function, format, field that a row must have for the column to be there
    ("cipher", "cipher", "<", ""),
    ("sector", "sector_size", ">", ""),
    ("rw", "rw", "<", ""),
    ("bs", "bs", ">", ""),
    ("QD", "iodepth", ">", ""),
    ("options", "flags", "<", ""),
    ("largest", lambda row: size(row.get("max_write_size")), ">", "max_write_size"),
    ("stock IOPS", lambda row: figure(row["stock_iops"]), ">", ""),
    ("MiB/s", lambda row: figure(row["stock_mib_s"]), ">", ""),
    ("bulk IOPS", lambda row: figure(row["bulk_iops"]), ">", ""),
    ("MiB/s", lambda row: figure(row["bulk_mib_s"]), ">", ""),
    ("ratio", lambda row: f"{row['ratio']:.3f}", ">", ""),
    ("min-max", lambda row: f"{row['ratio_min']:.3f}-{row['ratio_max']:.3f}", ">", ""),
    ("/single", lambda row: ratio(row.get("ratio_single")), ">", "ratio_single"),
    ("/norecycle", lambda row: ratio(row.get("ratio_norecycle")), ">", "ratio_norecycle"),
    ("overhead", lambda row: ratio(row.get("ratio_overhead")), ">", "ratio_overhead"),
    ("pages rest/load/idle", lambda row: pages(row.get("bulk_memory")), ">", "bulk_memory"),
    ("p99 stock", lambda row: duration(row["stock_lat_p99_us"]), ">", ""),
    ("p99 bulk", lambda row: duration(row["bulk_lat_p99_us"]), ">", ""),
)


def figure(value):
    return f"{value:.0f}" if value >= 1000 else f"{value:.1f}"


def ratio(value):
    return "-" if value is None else f"{value:.3f}"


def size(value):
    return "default" if value is None else f"{value // 1024}K"


def pages(memory):
    if not memory:
        return "-"
    return "/".join(str(memory[when]["held"]) for when in ("rest", "load", "after"))


def duration(microseconds):
    if microseconds >= 1000:
        return f"{microseconds / 1000:.2f} ms"
    return f"{microseconds:.1f} us"


def table(records):
    columns = [
        each for each in COLUMNS
        if not each[3] or any(row.get(each[3]) is not None for row in records)
    ]
    rows = [[heading for heading, *_ in columns]]
    for each in records:
        rows.append([str(f(each) if callable(f) else each[f]) for _, f, *_ in columns])
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = (f"{cell:{c[2]}{w}}" for cell, c, w in zip(row, columns, widths))
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
        ("at once", lambda row: f"{row['mappings']} mapping(s)" if row["mappings"] > 1 else ""),
        ("memory", memory_line),
        ("targets", lambda row: row["targets"]),
        ("fio", lambda row: row["fio"]),
    ):
        found = sorted({describe(row) for row in records} - {""})
        if found:
            lines.append(f"{label + ':':9}{' | '.join(found)}")
    return lines


def memory_line(row):
    parts = ["fragmented"] if row["memory"] == "fragmented" else []
    if row["init_on_alloc"] is not None:
        parts.append(f"init_on_alloc={row['init_on_alloc']:d}")
    return ", ".join(parts)


NOTES = (
    ("", "ratio: bulk IOPS / stock IOPS, the median over the rounds; min-max: its extremes"),
    ("ratio_single", "/single: bulk IOPS / IOPS of crypt-bulk held to one page at a time"),
    ("ratio_norecycle", "/norecycle: bulk IOPS / IOPS of crypt-bulk that keeps no pages"),
    ("ratio_overhead", "overhead: what a MiB costs beyond dm-linear and the cipher alone, "
     "bulk / stock"),
    ("bulk_memory", "pages: held by crypt-bulk at rest, at most under load, and 10 s after it"),
    ("", "p99:   99th percentile of the latency from submission to completion"),
)


def text(records):
    clocks = {each["clock"] for each in records}
    notes = [
        note for field, note in NOTES
        if not field or any(row.get(field) is not None for row in records)
    ]
    if "instructions" in clocks:
        notes.append("clock: a second is 10^9 instructions; waiting and caches do not count")
    return "\n".join([*heading(records), "", *table(records), "", *notes])


def merge(lists):
    """One list of rows; a later row replaces an earlier one that measured the same thing."""
    rows = {}
    for records in lists:
        for row in records:
            rows[tuple(row.get(field) for field in IDENTITY)] = row
    return list(rows.values())


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
