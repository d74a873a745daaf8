# SPDX-License-Identifier: GPL-2.0-only
"""The page docs/benchmarks.md and its pictures, rendered from the JSON of all kernels.

Every figure on the page comes out of the JSON; the words around them say what was measured and how,
and hold whatever the figures are."""

import argparse
import glob
import json
import os
import sys

from . import pictures, report, targets
from .costs import (
    floor_section,
    pages_section,
    pool_ratios,
    pool_section,
    profile_sections,
)
from .rows import common, dimensions, instructions, layer, plain, table
from .system import BenchError

INTRODUCTION = """\
# Benchmarks

What `crypt-bulk` costs beside the kernel's own `crypt`, on one machine, with the same table line,
in turns. **Ratio** is IOPS of crypt-bulk divided by IOPS of stock: above 1, crypt-bulk is faster.
This page is written by `make bench-report` from the results of `make bench` and `make bench-all`,
in `bench-results/`; no figure is typed by hand.

The instruction clock counts instructions of one emulated CPU, where a second is 10<sup>9</sup> of
them. It sees neither caches nor waiting, nor more than one CPU. The same comparison gives the same
figures on any machine:
{repeats}.
Figures of the wall clock are this machine's time, and of an emulated machine only their ratios mean
something. **Bypass** options are `no_read_workqueue no_write_workqueue submit_from_crypt_cpus`,
**default** is none of them. QD is the number of I/Os in flight; at QD 64 they are submitted in
batches of 4.
"""

TARGET_TABLE = """\
## What is to be reached

Ratios by the instruction clock on null_blk unless the line says otherwise: what is wanted, and the
worst that was measured of all that the line names. How much there is to gain at most is in
[Overhead above the floor](#overhead-above-the-floor), and what is left in
[Where the instructions go](#where-the-instructions-go-linux-612).
"""

RATIOS = """\
## Ratio by block size

{pictures}
Each point is the median over the rounds, the bar its extremes; QD 1, device null_blk.
"""

MATRIX = """\
## {title}

{text}
"""

COMMANDS = """\
## Where the figures come from

*Sources* are git's trees of the module, `git rev-parse --short HEAD:dm-crypt-bulk` and the same of
`mempool-bulk`.
"""


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


def figures_table(rows, bulk="crypt-bulk"):
    """bulk: what the arm of that name is, where it is not crypt-bulk."""
    columns = dimensions(rows)
    columns += [
        (heading, function) for heading, function, needed in FIGURES
        if not needed or any(row.get(needed) is not None for row in rows)
    ]
    return table(
        [heading.replace("crypt-bulk", bulk) for heading, _ in columns],
        [[function(row) for _, function in columns] for row in rows],
    )


CONTROL = """\
## How far chance goes

The wall clock with stock on both sides (`--targets crypt,crypt`), where the ratio is 1 but for
chance: a row of as many rounds above is no better known than this.
"""


# Title, what is said about it, which rows.
SECTIONS = (
    ("Writes and reads, instruction clock",
     "null_blk discards what is written, so that the layer shows without a disk's work.",
     layer),
    ("Writes and reads on a RAM disk, instruction clock", "What `make bench` measures.",
     lambda row: plain(row) and instructions(row) and row["device"] != "null"),
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
     "A writer on each mapping, all at the same time; IOPS are those of all together. As with two "
     "CPUs below, rows that came out low were measured again in more *rounds*.",
     lambda row: row["mappings"] > 1),
    ("Two CPUs, wall clock",
     "Many short runs in turn; an emulated machine, so that only ratios mean something. What came "
     "out low in 8 *rounds* was measured again in more, which count here; what came out high was "
     "not, so that chance speaks for crypt-bulk. How far it goes is told below.",
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


def control_section(rows):
    return [CONTROL, figures_table(rows, bulk="stock again,")] if rows else []


def repeats(rows):
    """How well the rounds of the instruction clock agree."""
    apart = [(row["ratio_max"] - row["ratio_min"]) / row["ratio"] for row in rows]
    if not apart:
        return "not measured"
    within = sum(each <= 0.005 for each in apart)
    return (f"the rounds of {within} of {len(apart)} rows agree to within 0.5 %, and the furthest "
            f"apart differ by {100 * max(apart):.0f} % (*min-max*)")


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


def targets_section(rows, traces, pools):
    sources = {
        "matrix": [row for row in rows if layer(row)],
        "fragmented": [row for row in rows if row["memory"] == "fragmented"],
        "wall": [row for row in rows if plain(row) and not instructions(row)],
        "memory": rows,
        "pages": traces,
        "pool": pool_ratios(pools),
    }
    headings = ["target", *targets.KERNELS]
    return [TARGET_TABLE, table(headings, targets.lines(sources))]


def sources_section(rows):
    seen = {}
    for row in rows:
        key = tuple(str(row.get(field, "-")) for field in (
            "release", "machine", "command", "clock", "targets", "fio", "source"))
        seen[key] = seen.get(key, 0) + 1
    lines = [COMMANDS]
    for (release, machine, command, clock, versions, fio, source), count in seen.items():
        lines.append(
            f"- `{command}`: {count} row(s); kernel {release}; {machine}; {clock} clock; "
            f"{versions}; {fio}; sources {source}"
        )
    return ["\n".join(lines) + "\n"]


def ratio_pictures(rows, directory):
    drawn = pictures.ratios(
        [row for row in rows if layer(row) and row["cipher"] == "aes-xts"], directory)
    if not drawn:
        return []
    images = "\n".join(f"![{title}](benchmarks/{name})\n" for name, title in drawn)
    return [RATIOS.format(pictures=images)]


def render(results, directory):
    """The page; draws its pictures into directory."""
    os.makedirs(directory, exist_ok=True)
    rows, traces, pools = results["rows"], results["pages"], results["pool"]
    pictures.overheads([row for row in rows if layer(row)], directory)
    pictures.pages(traces, directory)
    pictures.pool(pools, directory)
    parts = [
        INTRODUCTION.format(repeats=repeats([row for row in rows if layer(row)])),
        *targets_section(rows, traces, pools), *ratio_pictures(rows, directory),
        *floor_section(rows), *profile_sections(results["profile"]), *pages_section(traces),
        *pool_section(pools), *memory_section(rows), *sections(rows),
        *control_section(results["control"]),
        *sources_section([*rows, *results["control"], *traces, *pools]),
    ]
    return "\n".join(part for part in parts if part)


def kernel_order(row):
    return [int(part) for part in row["kernel"].split(".")]


ORDERS = (
    ("cipher", ("aes-xts", "cipher_null")), ("sector_size", (4096, 512)),
    ("flags", ("bypass", "default")), ("rw", ("write", "read", "randwrite", "randread")),
    ("iodepth", (1, 64)), ("bs", ("1M", "128K", "16K", "4K")),
)


def row_order(row):
    """By kernel, then in the order of a reader's interest; what is in no list comes last."""
    places = [
        values.index(row[name]) if row.get(name) in values else len(values)
        for name, values in ORDERS
    ]
    return kernel_order(row), places


def read_all(results):
    """The rows of each kind of results, by its name."""
    found = {"rows": [], "control": [], "pages": [], "pool": [], "profile": []}
    for kind, place in (("rows", ""), ("control", "control")):
        for path in sorted(glob.glob(os.path.join(results, place, "*.json"))):
            found[kind] += report.read_json(path)
    for kind in ("pages", "pool", "profile"):
        for path in sorted(glob.glob(os.path.join(results, kind, "*.json"))):
            with open(path, encoding="utf-8") as file:
                found[kind] += json.load(file)
    return {
        kind: sorted(rows, key=row_order if kind in ("rows", "control") else kernel_order)
        for kind, rows in found.items()
    }


def main():
    tree = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
    parser = argparse.ArgumentParser(
        prog="bench-report",
        description="Turns bench-results/*.json (see tools/bench-vm), and what bench-all, "
        "pages-trace and pool-bench wrote below it, into docs/benchmarks.md and pictures in "
        "docs/benchmarks/.",
    )
    parser.add_argument("--results", default=os.path.join(tree, "bench-results"),
                        help="directory of the results (default %(default)s)")
    parser.add_argument("--output", default=os.path.join(tree, "docs"),
                        help="directory of the page (default %(default)s)")
    options = parser.parse_args()
    try:
        results = read_all(options.results)
        rows = results["rows"]
        if not rows:
            raise BenchError(f"no results in {options.results}; make bench writes some")
        page = render(results, os.path.join(options.output, "benchmarks"))
        path = os.path.join(options.output, "benchmarks.md")
        with open(path, "w", encoding="utf-8") as file:
            file.write(page)
    except BenchError as error:
        print(f"bench-report: {error}", file=sys.stderr)
        return 1
    print(f"bench-report: {len(rows)} rows of {len({row['kernel'] for row in rows})} kernel(s) "
          f"in {path}")
    return 0
