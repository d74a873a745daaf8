# SPDX-License-Identifier: GPL-2.0-only
"""The A/B benchmark behind crypt-bulk-bench, one concern a module:

system     commands, kernel modules, the kernel's log, clean-up, errors that a user sees
devices    the block device under both mappings: RAM, null_blk, or a given one
arms       what is compared: targets, and module parameters that they are held to
mapping    device-mapper tables and mappings of the targets
check      each target reads what the other wrote
fio        fio's job files and its JSON
cases      what is measured: ciphers, options, the matrix
measure    one load on the mappings of all arms in turn, medians
cipher     what the cipher alone costs
held       memory that a crypt-bulk mapping holds
fragment   memory without free blocks above one page
report     the table and the JSON
chart      pictures, drawn by gnuplot
pictures   which pictures of which results
rows       tables of rows, and which rows belong together
targets    what is to be reached, and whether it is
costs      the sections of docs/benchmarks.md about parts of the work
page       docs/benchmarks.md
pages      the trace of getting and giving back the pages of a write
pool       ways to get pages and what they cost
benchmark  all of the above in its order
cli        the command line
"""
