# SPDX-License-Identifier: GPL-2.0-only
"""The page docs/benchmarks.md and its pictures, rendered from the JSON of all kernels.

Every figure on the page comes out of the JSON; the words around them say what was measured and how,
and hold whatever the figures are."""

import argparse
import glob
import json
import os
import sys

from . import pictures, report
from .system import BenchError

INTRODUCTION = """\
# Benchmarks

What `crypt-bulk` costs beside the kernel's own `crypt`, on one machine, with the same table line,
in turns. **Ratio** is IOPS of crypt-bulk divided by IOPS of stock: above 1, crypt-bulk is faster.
This page is written by `make bench-report` from the results of `make bench` and `make bench-all`;
no figure is typed by hand.

The instruction clock counts instructions of one emulated CPU, where a second is 10<sup>9</sup> of
them. The same comparison gives the same figures on any machine, to within 0.5 %; it sees neither
caches nor waiting, nor more than one CPU. Figures of the wall clock are this machine's time, and
of an emulated machine only their ratios mean something. **Bypass** options are
`no_read_workqueue no_write_workqueue submit_from_crypt_cpus`, **default** is none of them. QD is
the number of I/Os in flight; at QD 64 they are submitted in batches of 4.
"""

RATIOS = """\
## Ratio by block size

{pictures}
Each point is the median over the rounds, the bar its extremes; QD 1, device {device}.
"""

MATRIX = """\
## {title}

{text}
"""

FLOOR = """\
## Overhead above the floor

![Overhead above the floor](benchmarks/overhead.svg)

The floor of a MiB is dm-linear on the same device plus the cipher alone: 1 MiB encrypted through
the crypto API in requests of 128 KiB that each lie in one piece of memory, with no device-mapper,
no encryption sectors and no pages taken (test module `cipher-cost`). What a target costs beyond it
is its own doing, and what the crypto API asks for each encryption sector. Figures are thousands of
instructions a MiB. *By sector* is the cipher alone again, in one request for each encryption
sector: as long as it is used in that way, no target can be below it.
"""

PAGES = """\
## Getting and giving back the pages of a 1 MiB write

![Getting and giving back pages](benchmarks/pages.svg)

Instructions from entry to return of the functions that make the bio for the ciphertext of one 1 MiB
write and fill it with pages, and that free it: `crypt_alloc_buffer()` and
`crypt_free_buffer_pages()` of stock, `cbulk_buffer_alloc()` and `cbulk_buffer_free()` of
crypt-bulk, as the kernel's function_graph tracer measures them (a part of its own cost of a call is
in each figure). Where a target splits the write it is the sum over all its bios. Ours also frees
the bio itself. *Cold* is the first write of a fresh mapping, *warm* one after many.
"""

COMMANDS = """\
## Where the figures come from
"""


def table(headings, rows):
    """A Markdown table; the cells are text."""
    if not rows:
        return ""
    lines = [headings, ["---" if h in TEXT_COLUMNS else "---:" for h in headings], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


TEXT_COLUMNS = {"kernel", "cipher", "I/O", "options", "device", "state"}

# The columns that identify a row: heading, function; left out of a table where all rows agree.
DIMENSIONS = (
    ("kernel", lambda row: row["kernel"]),
    ("cipher", lambda row: row["cipher"]),
    ("sector", lambda row: str(row["sector_size"])),
    ("I/O", lambda row: row["rw"]),
    ("size", lambda row: row["bs"]),
    ("QD", lambda row: str(row["iodepth"])),
    ("options", lambda row: row["flags"]),
    ("device", lambda row: row["device_name"]),
    ("largest write", lambda row: report.size(row.get("max_write_size"))),
    ("mappings", lambda row: str(row["mappings"])),
    ("init_on_alloc", lambda row: {True: "1", False: "0"}.get(row["init_on_alloc"], "?")),
)

FIGURES = (
    ("stock IOPS", lambda row: report.figure(row["stock_iops"]), ""),
    ("crypt-bulk IOPS", lambda row: report.figure(row["bulk_iops"]), ""),
    ("**ratio**", lambda row: f"**{row['ratio']:.3f}**", ""),
    ("min-max", lambda row: f"{row['ratio_min']:.3f}-{row['ratio_max']:.3f}", ""),
    ("to one page at a time", lambda row: report.ratio(row.get("ratio_single")), "ratio_single"),
    ("free", lambda row: str(fragment(row)["free_blocks"][0]), "fragment"),
    ("above one", lambda row: str(fragment(row)["most_found_pages"]), "fragment"),
    ("to no recycling", lambda row: report.ratio(row.get("ratio_norecycle")), "ratio_norecycle"),
)


def fragment(row):
    return row.get("fragment") or {"free_blocks": ["-"], "most_found_pages": "-"}


OVERHEADS = (
    ("stock", "stock_overhead_ns_mib"),
    ("crypt-bulk", "bulk_overhead_ns_mib"),
    ("dm-linear", "linear_ns_mib"),
    ("cipher alone", "cipher_ns_mib"),
    ("cipher by sector", "cipher_by_sector_ns_mib"),
)


def thousands(value):
    return f"{value / 1000:.0f}"


def dimensions(rows):
    return [
        (heading, function) for heading, function in DIMENSIONS
        if heading == "kernel" or len({function(row) for row in rows}) > 1
    ]


def common(rows):
    """What all rows agree in, as text."""
    return ", ".join(
        f"{heading} {function(rows[0])}" for heading, function in DIMENSIONS
        if heading not in ("kernel", "largest write", "mappings")
        and len({function(row) for row in rows}) == 1
    )


def figures_table(rows):
    columns = dimensions(rows)
    columns += [
        (heading, function) for heading, function, needed in FIGURES
        if not needed or any(row.get(needed) is not None for row in rows)
    ]
    return table(
        [heading for heading, _ in columns],
        [[function(row) for _, function in columns] for row in rows],
    )


def plain(row):
    """Nothing but the matrix: no scenario. init_on_alloc=1 is what Debian's kernels boot with."""
    return (
        row["mappings"] == 1 and row["memory"] != "fragmented"
        and row["init_on_alloc"] is not False and row.get("max_write_size") is None
    )


def instructions(row):
    return row["clock"] == "instructions"


# Title, what is said about it, which rows.
SECTIONS = (
    ("Writes and reads, instruction clock", "",
     lambda row: plain(row) and instructions(row)),
    ("Fragmented memory",
     "Free memory was in single pages while these ran: the test module `fragment` breaks up all "
     "larger blocks, 50 times a second. *Above one* is the most pages that it found in such "
     "blocks at any time, of *free* pages: an allocation of several pages that fails makes the "
     "kernel move what it can, and so make some.",
     lambda row: row["memory"] == "fragmented"),
    ("Without zeroing of allocated pages",
     "The kernel booted with `init_on_alloc=0`; Debian's default is 1.",
     lambda row: row["init_on_alloc"] is False and row["memory"] != "fragmented"),
    ("Size at which writes are split",
     "The parameter `max_write_size` of both modules (of crypt-bulk alone where stock has none).",
     lambda row: row.get("max_write_size") is not None and row["memory"] != "fragmented"),
    ("Several mappings at once",
     "A writer or reader on each mapping, all at the same time; IOPS are those of all together.",
     lambda row: row["mappings"] > 1),
    ("Two CPUs, wall clock",
     "Many short runs in turn; an emulated machine, so that only ratios mean something.",
     lambda row: plain(row) and not instructions(row)),
)


def sections(rows):
    text = []
    for title, words, belongs in SECTIONS:
        found = [row for row in rows if belongs(row)]
        if found:
            said = f"{words}\n\n" if words else ""
            same = common(found)
            said += f"All: {same}.\n\n" if same else ""
            text.append(MATRIX.format(title=title, text=said + figures_table(found)))
    return text


def floor_section(rows):
    found = [row for row in rows if row.get("ratio_overhead") is not None and instructions(row)]
    if not found:
        return []
    columns = dimensions(found)
    headings = [heading for heading, _ in columns] + [heading for heading, _ in OVERHEADS]
    body = [
        [function(row) for _, function in columns]
        + [thousands(row[field]) for _, field in OVERHEADS] + [f"**{row['ratio_overhead']:.3f}**"]
        for row in found
    ]
    return [FLOOR, table([*headings, "**crypt-bulk / stock**"], body)]


def memory_section(rows):
    found = [row for row in rows if row.get("bulk_memory")]
    if not found:
        return []
    columns = dimensions(found)
    body = []
    for row in found:
        memory = row["bulk_memory"]
        body.append(
            [function(row) for _, function in columns] + [str(row["cpus"])]
            + [str(memory[when]["held"]) for when in ("rest", "load", "after")]
            + [str(memory["after"]["idle"]), str(memory["after"]["reserve"])]
        )
    headings = [heading for heading, _ in columns] + [
        "CPUs", "at rest", "under load", "10 s after", "of these idle", "reserve",
    ]
    return ["## Memory held by a mapping\n\nIn pages of 4 KiB, as its message `stats` tells.\n",
            table(headings, body)]


def pages_section(traces):
    if not traces:
        return []
    body = [
        [row["kernel"], row["state"]]
        + [f"{row[field]:.0f}" for field in
           ("stock_alloc_ns", "stock_free_ns", "bulk_alloc_ns", "bulk_free_ns")]
        + [f"{row['stock_bios']:.0f} / {row['bulk_bios']:.0f}", f"**{row['ratio']:.1f}**"]
        for row in traces
    ]
    headings = ["kernel", "state", "stock get", "stock give back", "crypt-bulk get",
                "crypt-bulk give back", "bios", "**stock / crypt-bulk**"]
    return [PAGES, table(headings, body)]


def sources_section(rows):
    seen = {}
    for row in rows:
        key = tuple(str(row.get(field, "-")) for field in (
            "release", "machine", "command", "clock", "targets", "fio"))
        seen[key] = seen.get(key, 0) + 1
    lines = [COMMANDS]
    for (release, machine, command, clock, targets, fio), count in seen.items():
        lines.append(
            f"- `{command}`: {count} row(s); kernel {release}; {machine}; {clock} clock; "
            f"{targets}; {fio}"
        )
    return ["\n".join(lines) + "\n"]


def ratio_pictures(rows, directory):
    drawn = pictures.ratios(
        [row for row in rows if plain(row) and instructions(row) and row["cipher"] == "aes-xts"],
        directory,
    )
    if not drawn:
        return []
    images = "\n".join(f"![{title}](benchmarks/{name})\n" for name, title in drawn)
    device = ", ".join(sorted({row["device_name"] for row in rows if plain(row)}))
    return [RATIOS.format(pictures=images, device=device)]


def render(rows, traces, directory):
    """The page; draws its pictures into directory."""
    os.makedirs(directory, exist_ok=True)
    pictures.overheads([row for row in rows if instructions(row)], directory)
    pictures.pages(traces, directory)
    parts = [
        INTRODUCTION, *ratio_pictures(rows, directory), *floor_section(rows),
        *pages_section(traces), *memory_section(rows), *sections(rows),
        *sources_section([*rows, *traces]),
    ]
    return "\n".join(part for part in parts if part)


def kernel_order(row):
    return [int(part) for part in row["kernel"].split(".")]


def read_all(results):
    rows, traces = [], []
    for path in sorted(glob.glob(os.path.join(results, "*.json"))):
        rows += report.read_json(path)
    for path in sorted(glob.glob(os.path.join(results, "pages", "*.json"))):
        with open(path, encoding="utf-8") as file:
            traces += json.load(file)
    return sorted(rows, key=kernel_order), sorted(traces, key=kernel_order)


def main():
    tree = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
    parser = argparse.ArgumentParser(
        prog="bench-report",
        description="Turns bench-results/*.json (see tools/bench-vm) and "
        "bench-results/pages/*.json (see tools/pages-trace) into docs/benchmarks.md and pictures "
        "in docs/benchmarks/.",
    )
    parser.add_argument("--results", default=os.path.join(tree, "bench-results"),
                        help="directory of the results (default %(default)s)")
    parser.add_argument("--output", default=os.path.join(tree, "docs"),
                        help="directory of the page (default %(default)s)")
    options = parser.parse_args()
    try:
        rows, traces = read_all(options.results)
        if not rows:
            raise BenchError(f"no results in {options.results}; make bench writes some")
        page = render(rows, traces, os.path.join(options.output, "benchmarks"))
        path = os.path.join(options.output, "benchmarks.md")
        with open(path, "w", encoding="utf-8") as file:
            file.write(page)
    except BenchError as error:
        print(f"bench-report: {error}", file=sys.stderr)
        return 1
    print(f"bench-report: {len(rows)} rows of {len({row['kernel'] for row in rows})} kernel(s) "
          f"in {path}")
    return 0
