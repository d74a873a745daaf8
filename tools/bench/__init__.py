# SPDX-License-Identifier: GPL-2.0-only
"""The A/B benchmark behind crypt-bulk-bench, one concern a module:

system     commands, kernel modules, the kernel's log, clean-up, errors that a user sees
devices    the block device under both mappings: RAM, null_blk, or a given one
mapping    device-mapper tables and mappings of the two targets
check      each target reads what the other wrote
fio        fio's job files and its JSON
cases      what is measured: ciphers, options, the matrix
measure    one load on both mappings in turn, medians
report     the table and the JSON
benchmark  all of the above in its order
cli        the command line
"""
