# SPDX-License-Identifier: GPL-2.0-only
"""The command line of crypt-bulk-bench."""

import argparse
import os
import re
import shlex
import sys

from . import cases, devices, measure, pictures, report
from .benchmark import Benchmark, say
from .system import (
    BenchError,
    Interrupted,
    UsageError,
    require_commands,
    require_root,
    run,
    stop_on_signals,
)

DESCRIPTION = """\
Measures the device-mapper target crypt-bulk against the kernel's own target crypt, on this
machine: makes mappings of each, with the very same table, over the same block device; checks that
each reads what the other wrote; then runs fio on all in turn and prints a table of the medians.

It needs root, fio, dmsetup and both modules. Without options it makes a RAM disk of 256 MiB and
takes a few minutes. The mappings and what else it made are removed at the end, also after Ctrl-C.
"""

EPILOG = """\
ciphers:
  cipher_null    no encryption: what the layer itself costs
  aes-xts        aes-xts-plain64 with a random 512-bit key
  SPEC@BITS      any other of dm-crypt, with its key size, like aes-cbc-essiv:sha256@256

option sets (--flags):
  default        none
  bypass         no_read_workqueue no_write_workqueue submit_from_crypt_cpus
  WORD+WORD...   any others of dm-crypt

arms (--arms):
  stock          the kernel's own crypt
  bulk           crypt-bulk
  single         crypt-bulk held to one page at a time (the module's parameter single_page): shows
                 what the page pool gives, apart from the rest
  norecycle      crypt-bulk that keeps no pages of completed writes (its parameter recycle)
  linear         dm-linear on the same device

exit status: 0 measured; 1 a check or a run failed; 2 wrong usage; 128+N ended by signal N

examples:
  crypt-bulk-bench
  crypt-bulk-bench --ciphers aes-xts --sector-sizes 4096 --bs 1M --iodepth 1
  crypt-bulk-bench --full --json results.json
  crypt-bulk-bench --device /dev/nvme1n1 --seconds 10
  crypt-bulk-bench --ram 512M --mappings 8 --bs 1M --iodepth 1
  crypt-bulk-bench --show results.json
"""

# What a mode measures unless an option says otherwise. An instruction clock hardly varies, and a
# second of it takes several: short runs do.
QUICK = {
    "rw": ["write"],
    "bs": ["1M", "128K", "4K"],
    "flags": ["bypass"],
    "rounds": {"wall": 4, "instructions": 2},
    "seconds": {"wall": 0.5, "instructions": 0.2},
}
FULL = {
    "rw": ["write", "read", "randwrite", "randread"],
    "bs": ["1M", "128K", "16K", "4K"],
    "flags": ["bypass", "default"],
    "rounds": {"wall": 6, "instructions": 2},
    "seconds": {"wall": 2, "instructions": 0.25},
}


DEFAULT_SIZE = 256 * devices.MIB


def comma_list(text):
    parts = [part.strip() for part in text.split(",")]
    if not all(parts):
        raise argparse.ArgumentTypeError(f'"{text}" is not a list like A,B')
    return parts


def positive(number_type):
    def convert(text):
        try:
            value = number_type(text)
        except ValueError:
            value = 0
        if not value > 0:
            raise argparse.ArgumentTypeError(f'"{text}" is not a positive number')
        return value

    return convert


def parse_size(text):
    match = re.fullmatch(r"(\d+)([KMG])", text.upper())
    if not match:
        raise argparse.ArgumentTypeError(f'"{text}" is not a size like 256M or 1G')
    size = int(match[1]) << {"K": 10, "M": 20, "G": 30}[match[2]]
    if size % devices.MIB or size < 16 * devices.MIB:
        raise argparse.ArgumentTypeError("must be whole MiB, at least 16M")
    return size


def make_parser():
    parser = argparse.ArgumentParser(
        prog="crypt-bulk-bench",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    where = parser.add_argument_group("the device under both mappings")
    device = where.add_mutually_exclusive_group()
    device.add_argument("--ram", metavar="SIZE", type=parse_size, default=DEFAULT_SIZE,
                        help="a RAM disk made for this (default, 256M)")
    device.add_argument("--null", metavar="SIZE", type=parse_size, nargs="?", const=DEFAULT_SIZE,
                        help="a null_blk device (of 256M) that discards what is written: shows "
                        "the layer without the RAM disk's copying; the check is made on a RAM disk "
                        "first")
    device.add_argument("--device", metavar="DEV",
                        help="a block device; ALL DATA ON IT IS LOST. Refused when it is mounted, "
                        "in use, or not empty")
    where.add_argument("--destroy-data", action="store_true",
                       help="take --device also when there is something on it")

    what = parser.add_argument_group("what is measured")
    mode = what.add_mutually_exclusive_group()
    mode.add_argument("--quick", action="store_true",
                      help="sequential writes with bypass options, 4 rounds of 0.5 s (default)")
    mode.add_argument("--full", action="store_true",
                      help="sequential and random writes and reads, one more size, bypass and "
                      "default options, 6 rounds of 2 s (an instruction clock needs less: 2 "
                      "rounds of 0.2 s, or 0.25 s for --full)")
    what.add_argument("--ciphers", metavar="LIST", type=comma_list, default="cipher_null,aes-xts",
                      help="see below (default %(default)s)")
    what.add_argument("--sector-sizes", metavar="LIST", type=comma_list, default="512,4096",
                      help="encryption sectors in bytes (default %(default)s)")
    what.add_argument("--flags", metavar="LIST", type=comma_list,
                      help="option sets, see below")
    what.add_argument("--rw", metavar="LIST", type=comma_list,
                      help="write, read, randwrite, randread")
    what.add_argument("--bs", metavar="LIST", type=comma_list,
                      help="size of one I/O (default 1M,128K,4K, with --full 16K too)")
    what.add_argument("--iodepth", metavar="LIST", type=comma_list, default="1,64",
                      help="I/Os in flight; from 4 on submitted in batches of 4 "
                      "(default %(default)s)")
    what.add_argument("--max-write-size", metavar="LIST", type=comma_list, default="default",
                      help="parameter of both modules: the size from which on they split writes, "
                      "like 128K, or default (%(default)s) for what each does by itself")
    what.add_argument("--mappings", metavar="N", type=positive(int), default=1,
                      help="mappings of each arm, on equal parts of the device, all written (or "
                      "read) at once (default 1)")
    what.add_argument("--floor", action="store_true",
                      help="also measure the floor, dm-linear on the same device plus the cipher "
                      "alone, and what each target costs above it; needs the test module "
                      "cipher-cost")
    what.add_argument("--memory", action="store_true",
                      help="also measure, for each write, the pages that crypt-bulk holds at "
                      "rest, under the load, and 10 s after it")
    what.add_argument("--fragment", action="store_true",
                      help="leave no free memory in blocks above one page meanwhile; needs the "
                      "test module fragment; for a virtual machine")
    what.add_argument("--part", metavar="I/N", default="1/1",
                      help="of N parts of all that do only part I; --show puts them together")

    how = parser.add_argument_group("how it is measured")
    how.add_argument("--rounds", metavar="N", type=positive(int),
                     help="measured runs on each mapping, in turn; an even number is better")
    how.add_argument("--seconds", metavar="S", type=positive(float),
                     help=f"of one run; a warm-up of {measure.WARM_UP:g} S, at least "
                     f"{measure.LEAST_WARM_UP:g} s, comes before the first")
    how.add_argument("--clock", choices=("wall", "instructions"),
                     default=os.environ.get("DCB_CLOCK", "wall"),
                     help="what this machine's clock counts, for the report: instructions in a VM "
                     "whose clock is its instruction counter (default $DCB_CLOCK or wall)")
    how.add_argument("--keep-going", action="store_true",
                     help="after a failure go on with the next mapping or run; the exit status "
                     "is 1 at the end")
    how.add_argument("--arms", metavar="LIST", type=comma_list,
                     help="what is measured in turn, see below (default stock,bulk, and single "
                     "where the module can)")
    how.add_argument("--targets", metavar="A,B", type=comma_list, default="crypt,crypt-bulk",
                     help="the targets of stock and bulk; for testing the method itself: with "
                     "crypt,crypt every ratio should be 1")

    out = parser.add_argument_group("output")
    out.add_argument("--json", metavar="FILE",
                     help="also write the results as JSON; - for stdout, between marking lines")
    out.add_argument("--picture", metavar="FILE.svg",
                     help="also draw the ratios by block size; needs gnuplot")
    out.add_argument("--show", metavar="FILE", nargs="+",
                     help="measure nothing: print the table of earlier results (with --json: "
                     "merge them)")
    out.add_argument("--version", action="store_true", help="print the version")
    return parser


def one_of(name, values, allowed):
    for value in values:
        if value not in allowed:
            raise UsageError(f'{name}: "{value}" is none of {", ".join(allowed)}')
    return values


def plan(options):
    """The setups and the loads that the options ask for."""
    one_of("--clock", [options.clock], ("wall", "instructions"))
    mode = FULL if options.full else QUICK
    options.rounds = options.rounds or mode["rounds"][options.clock]
    options.seconds = options.seconds or mode["seconds"][options.clock]
    ciphers = [cases.parse_cipher(each) for each in options.ciphers]
    flags = [cases.parse_flags(each) for each in options.flags or mode["flags"]]
    sizes = one_of("--sector-sizes", options.sector_sizes, ("512", "1024", "2048", "4096"))
    rws = one_of(
        "--rw", options.rw or mode["rw"], ("write", "read", "randwrite", "randread")
    )
    blocks = options.bs or mode["bs"]
    for each in blocks:
        if not re.fullmatch(r"[1-9]\d*[KkMm]?", each):
            raise UsageError(f'--bs: "{each}" is not a size like 4K or 1M')
    depths = options.iodepth
    for each in depths:
        if not re.fullmatch(r"[1-9]\d{0,3}", each):
            raise UsageError(f'--iodepth: "{each}" is not a number from 1 to 9999')
    if len(options.targets) != 2:
        raise UsageError("--targets wants two, like crypt,crypt-bulk")
    max_writes = [cases.parse_max_write(each) for each in options.max_write_size]
    setups = cases.setups(ciphers, [int(each) for each in sizes], flags, max_writes)
    return (
        cases.part_of(setups, options.part),
        cases.loads(rws, blocks, [int(each) for each in depths]),
    )


def benchmark(options):
    setups, loads = plan(options)
    if not setups:
        say(f"part {options.part} is empty: there are fewer setups than parts")
        if options.json:
            report.write_json([], options.json)
        return
    require_root()
    require_commands({
        "fio": "fio", "dmsetup": "dmsetup", "modprobe": "kmod", "blockdev": "util-linux",
        "wipefs": "util-linux", "dmesg": "util-linux", "mount": "mount",
    })
    if options.picture:
        require_commands({"gnuplot": "gnuplot-nox"})
    stop_on_signals()
    bench = Benchmark(options, setups, loads)
    try:
        bench.run()
    finally:
        for problem in bench.resources.close_all():
            say(f"clean-up: {problem}")
            bench.failures += 1
    publish(bench.records, options)
    if bench.failures:
        raise BenchError(f"{bench.failures} failure(s), see above")


def publish(records, options):
    if not records:
        raise BenchError("nothing was measured")
    print(report.text(records), flush=True)
    if options.json:
        report.write_json(records, options.json)
    if options.picture:
        pictures.own(records, options.picture)


def version():
    """Of the source tree that this lies in, else of the installed module."""
    config = os.path.join(os.path.dirname(__file__), "..", "..", "dkms.conf")
    try:
        with open(config, encoding="utf-8") as file:
            return re.search(r'^PACKAGE_VERSION="(.*)"', file.read(), re.M)[1]
    except (OSError, TypeError):
        result = run(["modinfo", "-F", "version", "dm-crypt-bulk"], check=False)
        return result.out.strip() or "unknown"


def main():
    options = make_parser().parse_args()
    options.command = os.environ.get("DCB_COMMAND") or shlex.join(
        ["crypt-bulk-bench", *sys.argv[1:]]
    )
    try:
        if options.version:
            print(f"crypt-bulk-bench {version()}")
        elif options.show:
            publish(report.merge(map(report.read_json, options.show)), options)
        else:
            benchmark(options)
    except BenchError as error:
        say(error)
        return 2 if isinstance(error, UsageError) else 1
    except Interrupted as interrupted:
        number = interrupted.args[0]
        say(f"ended by signal {number}; what was set up has been removed")
        return 128 + number
    return 0
