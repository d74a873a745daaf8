# SPDX-License-Identifier: GPL-2.0-only
"""Sections of docs/benchmarks.md about what parts of the work cost."""

from .rows import dimensions, instructions, table

FLOOR = """\
## Overhead above the floor

![Overhead above the floor](benchmarks/overhead.svg)

The floor of a MiB is dm-linear on the same device plus the cipher alone: 1 MiB encrypted through
the crypto API in requests of 128 KiB that each lie in one piece of memory, with no device-mapper,
no encryption sectors and no pages taken (test module `cipher-cost`). What a target costs beyond it
is its own doing, and what the crypto API asks for each encryption sector. Figures are thousands of
instructions a MiB. *By sector* is the cipher alone again, in one request for each encryption
sector, each made through the crypto API's usual entry; where crypt-bulk calls the driver directly,
it can be below that. The last two columns are the ratio that a target without any overhead would
reach, and that of one that did nothing beside dm-linear and these requests.
"""

PAGES = """\
## Getting and giving back the pages of a 1 MiB write

![Getting and giving back pages](benchmarks/pages.svg)

Instructions from entry to return of the functions that make the bio for the ciphertext of one 1 MiB
write and fill it with pages, and that free it: `crypt_alloc_buffer()` and
`crypt_free_buffer_pages()` of stock, `cbulk_buffer_alloc()` and `cbulk_buffer_free()` of
crypt-bulk, as the kernel's function_graph tracer measures them. What the tracer takes itself is
subtracted: {tracer} for each call, measured with a function that does nothing (test module
`empty-call`). Where a target splits the write it is the sum over all its bios. *Cold* is the first
write of a fresh mapping, *warm* one after many.
"""

POOL = """\
## Ways to get pages

![Ways to get pages](benchmarks/pool.svg)

Instructions to get pages and to give them back, again and again, in the test module `pool-bench`:
the kernel's **mempool** a page at a time, as stock does before Linux 6.5; mempool-bulk into an
**array** and onto a **list**; **compound** pages, the largest that there are first, as stock does
since; and mempool-bulk's buffers, which keep what is given back (**recycled**). The kernel zeroes
what its page allocator hands out (`init_on_alloc=1`). *Fragmented*: free memory was in single
pages, but for those in larger blocks that there were at any time: {found}. Where that is enough
for a buffer, compound pages can cost what they cost otherwise: the same few are used again.
"""

PROFILE = """\
## Where the instructions go, Linux {kernel}

{what}. {method}
"""

TRIED = """\
What has been taken out of crypt-bulk's own part and of the cipher's calls: getting, zeroing and
counting pages, by keeping those of completed writes; a bio for each write, which is part of what
it keeps for an I/O anyway; changes of task that cost more than the work that they hand over; and
for each encryption sector finding the page, making the IV by way of a function, the crypto API's
entry, and asking whether the vector registers may be used. What is left is the cipher's loop, and
what the caller and the kernel do around either target.
"""

OVERHEADS = (
    ("stock", "stock_overhead_ns_mib"),
    ("crypt-bulk", "bulk_overhead_ns_mib"),
    ("dm-linear", "linear_ns_mib"),
    ("cipher alone", "cipher_ns_mib"),
    ("cipher by sector", "cipher_by_sector_ns_mib"),
)

# The orders of the pool's ways on the page.
WAYS = ("mempool", "array", "list", "compound", "recycled")


def thousands(value):
    return f"{value / 1000:.0f}"


def floor_section(rows):
    found = [row for row in rows if row.get("ratio_overhead") is not None and instructions(row)]
    if not found:
        return []
    columns = dimensions(found)
    headings = [heading for heading, _ in columns] + [heading for heading, _ in OVERHEADS]
    body = [
        [function(row) for _, function in columns]
        + [thousands(row[field]) for _, field in OVERHEADS] + [f"**{row['ratio_overhead']:.3f}**"]
        + [f"{row['ratio']:.3f}", *(f"{each:.3f}" for each in possible(row))]
        for row in found
    ]
    headings += ["**crypt-bulk / stock**", "ratio", "without overhead", "by sector"]
    return [FLOOR, table(headings, body)]


def possible(row):
    """The ratios of a target that costs the floor, and of one that asks the cipher by sector."""
    stock = row["floor_ns_mib"] + row["stock_overhead_ns_mib"]
    by_sector = row["linear_ns_mib"] + row["cipher_by_sector_ns_mib"]
    return stock / row["floor_ns_mib"], stock / by_sector


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
    tracer = sorted({f"{row['tracer_ns']:.0f} (Linux {row['kernel']})" for row in traces})
    return [PAGES.format(tracer=", ".join(tracer)), table(headings, body)]


def pool_section(pools):
    if not pools:
        return []
    headings = ["kernel", "memory", "pages"]
    headings += [f"{way} {what}" for way in WAYS for what in ("get", "give back")]
    costs = {}
    for row in pools:
        key = row["kernel"], row["memory"], str(row["pages"])
        costs.setdefault(key, {})[row["way"]] = [str(row["get_ns"]), str(row["give_back_ns"])]
    body = [
        [*key, *(figure for way in WAYS for figure in ways.get(way, ["-", "-"]))]
        for key, ways in costs.items()
    ]
    found = {
        f"{row['fragment']['most_found_pages']} pages (Linux {row['kernel']})"
        for row in pools if row.get("fragment")
    }
    return [POOL.format(found=", ".join(sorted(found)) or "not known"), table(headings, body)]


def stock_way(kernel):
    """How that kernel's dm-crypt gets pages."""
    return "compound" if tuple(map(int, kernel.split("."))) >= (6, 5) else "mempool"


def pool_ratios(pools):
    """For each kernel, unfragmented, and number of pages: what stock's way costs, by ours."""
    costs = {
        (row["kernel"], row["pages"], row["way"]): row["get_ns"] + row["give_back_ns"]
        for row in pools if row["memory"] != "fragmented"
    }
    return [
        {"kernel": kernel, "pages": pages,
         "ratio": costs[kernel, pages, stock_way(kernel)] / ours}
        for (kernel, pages, way), ours in costs.items() if way == "recycled"
    ]


def profile_sections(profiles):
    text = []
    for each in profiles:
        total = sum(part["instructions"] for part in each["parts"])
        body = [
            [part["where"], thousands(part["instructions"]),
             f"{100 * part['instructions'] / total:.1f} %"]
            for part in each["parts"]
        ]
        body.append(["together", thousands(total), ""])
        text += [PROFILE.format(**each), table(["where", "thousands", "part"], body)]
    return [*text, TRIED] if text else []
