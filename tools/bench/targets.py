# SPDX-License-Identifier: GPL-2.0-only
"""What crypt-bulk is to reach, and whether the results say that it does."""

from dataclasses import dataclass, field

KERNELS = ("6.1", "6.12", "7.3")
PAGES_PER_MIB = 256


@dataclass(frozen=True)
class Target:
    """bounds: for the kernels of KERNELS. what: fields of rows, and the values that belong here.
    value: of a row, or None where it has none. The worst of all counts."""

    title: str
    bounds: tuple
    rows: str = "matrix"
    what: dict = field(default_factory=dict)
    value: object = lambda row: row.get("ratio")
    at_most: bool = False

    def find(self, rows):
        return [
            row for row in rows
            if all(row.get(name) in allowed for name, allowed in self.what.items())
            and self.value(row) is not None
        ]

    def worst(self, rows):
        values = [self.value(row) for row in rows]
        return max(values) if self.at_most else min(values)

    def met(self, value, bound):
        return value <= bound if self.at_most else value >= bound


def _matrix(rw, sizes, sectors, cipher="aes-xts", flags="bypass"):
    return {"rw": (rw,), "bs": sizes, "sector_size": sectors, "cipher": (cipher,),
            "flags": (flags,), "iodepth": (1,)}


LARGE = ("1M", "128K")


def _left_behind(row):
    """MiB for each CPU beyond the reserve, 10 s after the load."""
    memory = row.get("bulk_memory")
    if not memory:
        return None
    beyond = memory["after"]["held"] - memory["rest"]["reserve"]
    return beyond / PAGES_PER_MIB / row["cpus"]


TARGETS = (
    Target("1 MiB and 128 KiB writes, aes-xts, 4096 B", (1.12, 1.14, 1.14),
           what=_matrix("write", LARGE, (4096,))),
    Target("1 MiB and 128 KiB writes, aes-xts, 512 B", (1.30, 1.42, 1.45),
           what=_matrix("write", LARGE, (512,))),
    Target("1 MiB writes, cipher_null, 4096 B", (1.45, 1.45, 1.40),
           what=_matrix("write", ("1M",), (4096,), "cipher_null")),
    Target("4 KiB writes, aes-xts, 4096 B", (1.05, 1.08, 1.10),
           what=_matrix("write", ("4K",), (4096,))),
    Target("4 KiB writes, aes-xts, 512 B", (1.18, 1.22, 1.26),
           what=_matrix("write", ("4K",), (512,))),
    Target("1 MiB and 128 KiB reads, aes-xts, 4096 B", (1.02, 1.03, 1.03),
           what=_matrix("read", LARGE, (4096,))),
    Target("1 MiB and 128 KiB reads, aes-xts, 512 B", (1.25, 1.35, 1.36),
           what=_matrix("read", LARGE, (512,))),
    Target("default options, 1 MiB and 128 KiB writes, aes-xts, 4096 B", (1.10, 1.12, 1.12),
           what=_matrix("write", LARGE, (4096,), flags="default")),
    Target("default options, 1 MiB and 128 KiB writes, aes-xts, 512 B", (1.28, 1.40, 1.42),
           what=_matrix("write", LARGE, (512,), flags="default")),
    Target("default options, 4 KiB writes, aes-xts, 512 B and 4096 B", (1.40, 1.50, 1.50),
           what=_matrix("write", ("4K",), (512, 4096), flags="default")),
    Target("all with bypass options, any size, cipher and depth", (1.00, 1.00, 1.00),
           what={"flags": ("bypass",)}),
    Target("all with default options, any size, cipher and depth", (0.995, 0.995, 0.995),
           what={"flags": ("default",)}),
    Target("fragmented memory, 1 MiB writes, aes-xts, 4096 B", (1.12, 1.20, 1.20), "fragmented",
           _matrix("write", ("1M",), (4096,))),
    Target("getting and giving back the pages of a 1 MiB write, warm, traced, stock / crypt-bulk",
           (40, 40, 40), "pages", {"state": ("warm",)}),
    Target("the same by themselves, 256 pages at once, stock's way / recycled", (40, 40, 40),
           "pool", {"pages": (PAGES_PER_MIB,)}),
    Target("overhead above the floor, 1 MiB writes, aes-xts, 4096 B, crypt-bulk / stock",
           (0.55, 0.55, 0.50), what=_matrix("write", ("1M",), (4096,)),
           value=lambda row: row.get("ratio_overhead"), at_most=True),
    Target("two CPUs, wall clock, any row", (1.00, 1.00, 1.00), "wall"),
    Target("memory beyond the reserve 10 s after a load, MiB a CPU", (1, 1, 1), "memory",
           value=_left_behind, at_most=True),
)


def cells(target, sources):
    """For each of KERNELS: what is wanted, what was measured at worst, and the verdict; as text.
    sources: the rows of each kind that a target's rows names."""
    texts = []
    for kernel, bound in zip(KERNELS, target.bounds):
        wanted = f"{'≤' if target.at_most else '≥'} {bound:g}"
        found = target.find([row for row in sources[target.rows] if row["kernel"] == kernel])
        if not found:
            texts.append(f"{wanted}: not measured")
            continue
        worst = target.worst(found)
        verdict = "met" if target.met(worst, bound) else "**not met**"
        figure = f"{worst:.1f}" if worst >= 10 else f"{worst:.3f}"
        among = f" ({len(found)} rows)" if len(found) > 1 else ""
        texts.append(f"{wanted}: {figure}{among}, {verdict}")
    return texts


def lines(sources):
    """The body of the table: a list of cells for each target."""
    return [[target.title, *cells(target, sources)] for target in TARGETS]
