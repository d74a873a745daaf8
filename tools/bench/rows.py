# SPDX-License-Identifier: GPL-2.0-only
"""Rows of results as tables in Markdown, and which rows belong together."""

from . import report

# Headings of columns that are not figures.
TEXT_COLUMNS = {
    "kernel", "cipher", "I/O", "options", "device", "state", "memory", "target", "where",
}


def table(headings, rows):
    """A Markdown table; the cells are text."""
    if not rows:
        return ""
    lines = [headings, ["---" if h in TEXT_COLUMNS else "---:" for h in headings], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


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
    ("rounds", lambda row: str(row["rounds"])),
    ("init_on_alloc", lambda row: {True: "1", False: "0"}.get(row["init_on_alloc"], "?")),
)


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


def plain(row):
    """Nothing but the matrix: no scenario. init_on_alloc=1 is what Debian's kernels boot with."""
    return (
        row["mappings"] == 1 and row["memory"] != "fragmented"
        and row["init_on_alloc"] is not False and row.get("max_write_size") is None
    )


def layer(row):
    """The matrix on a device that costs next to nothing, by the instruction clock."""
    return plain(row) and instructions(row) and row["device"] == "null"


def instructions(row):
    return row["clock"] == "instructions"
