# SPDX-License-Identifier: GPL-2.0-only
"""Which pictures are drawn of which results."""

import os
import re

from . import chart


def block_size(text):
    """In bytes, of fio's notation."""
    number, unit = re.fullmatch(r"(\d+)([KkMm]?)", text).groups()
    return int(number) << {"": 0, "k": 10, "m": 20}[unit.lower()]


def curves(rows, name):
    """One curve for each name(row): the ratio by block size."""
    series = {}
    for row in rows:
        series.setdefault(name(row), {})[row["bs"]] = (
            row["ratio"], row["ratio_min"], row["ratio_max"])
    labels = sorted({row["bs"] for row in rows}, key=block_size)
    return labels, list(series.items())


RATIO_PICTURES = (
    # file, title, rw, options
    ("ratio-write-bypass.svg", "Writes, aes-xts, bypass options", "write", "bypass"),
    ("ratio-write-default.svg", "Writes, aes-xts, default options", "write", "default"),
    ("ratio-read-bypass.svg", "Reads, aes-xts, bypass options", "read", "bypass"),
    ("ratio-read-default.svg", "Reads, aes-xts, default options", "read", "default"),
)


def ratios(rows, directory):
    """Returns the files and titles of what was drawn."""
    drawn = []
    for file, title, rw, flags in RATIO_PICTURES:
        found = [
            row for row in rows
            if row["rw"] == rw and row["flags"] == flags and row["iodepth"] == 1
        ]
        if found:
            labels, series = curves(
                found, lambda row: f"Linux {row['kernel']}, {row['sector_size']} B sectors")
            chart.lines(os.path.join(directory, file), title, "IOPS, crypt-bulk / stock", labels,
                        series)
            drawn.append((file, title))
    return drawn


def overheads(rows, directory):
    found = [
        row for row in rows
        if row.get("ratio_overhead") is not None and row["rw"] == "write" and row["bs"] == "1M"
        and row["cipher"] == "aes-xts" and row["iodepth"] == 1 and row["flags"] == "bypass"
    ]
    if not found:
        return
    labels = [f"{row['kernel']}, {row['sector_size']} B" for row in found]
    series = [
        (name, [row[f"{arm}_overhead_ns_mib"] / 1000 for row in found])
        for name, arm in (("stock", "stock"), ("crypt-bulk", "bulk"))
    ]
    chart.bars(os.path.join(directory, "overhead.svg"),
               "Above the floor: 1 MiB writes, aes-xts, bypass options",
               "thousands of instructions a MiB", labels, series)


def pages(traces, directory):
    if not traces:
        return
    labels = [f"{row['kernel']}, {row['state']}" for row in traces]
    series = [
        (f"{who}, {what}", [row[f"{arm}_{kind}_ns"] for row in traces])
        for who, arm in (("stock", "stock"), ("crypt-bulk", "bulk"))
        for what, kind in (("get", "alloc"), ("give back", "free"))
    ]
    chart.bars(os.path.join(directory, "pages.svg"), "The pages of one 1 MiB write",
               "instructions", labels, series, logarithmic=True)


def pool(rows, directory):
    """The largest number of pages only."""
    most = max((row["pages"] for row in rows), default=0)
    costs = {}
    for row in rows:
        if row["pages"] == most:
            group = costs.setdefault(row["way"], {})
            state = "fragmented" if row["memory"] == "fragmented" else "unfragmented"
            group[f"{row['kernel']}, {state}"] = row["get_ns"] + row["give_back_ns"]
    if not costs:
        return
    labels = list(next(iter(costs.values())))
    series = [(way, [group[label] for label in labels]) for way, group in costs.items()]
    chart.bars(os.path.join(directory, "pool.svg"),
               f"Getting and giving back {most} pages", "instructions", labels, series,
               logarithmic=True)


def _full_name(row):
    parts = [f"{row['rw']} QD {row['iodepth']}", row["cipher"], f"{row['sector_size']} B",
             row["flags"]]
    if row.get("max_write_size") is not None:
        parts.append(f"split at {row['max_write_size'] // 1024}K")
    return ", ".join(parts)


def own(rows, path):
    """The picture of one run of crypt-bulk-bench."""
    labels, series = curves(rows, _full_name)
    release = ", ".join(sorted({row["release"] for row in rows}))
    device = ", ".join(sorted({row["device_name"] for row in rows}))
    chart.lines(path, f"Linux {release}, {device}", "IOPS, crypt-bulk / stock", labels, series)
