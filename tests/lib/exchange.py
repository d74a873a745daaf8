# SPDX-License-Identifier: GPL-2.0
"""Data that one mapping writes and another one reads, and what of it lies on the device below."""

import collections

# What writing came to and what reading gave, piece by piece, where an errno stands for a failure;
# and what is on the device below afterwards, from a little before the mapping to a little behind.
Transfer = collections.namedtuple("Transfer", "written image read")

_GUARD = 4096


def _attempt(function, *args):
    try:
        return function(*args)
    except OSError as error:
        return error.errno


def transfer(raw, writer, reader, start, size, pieces):
    """Blank the device, write pieces (offset, data) through one mapping, read through another.

    raw is the device below, the mappings begin there at byte start and are at least size long.
    """
    front = min(start, _GUARD)
    length = min(front + size + _GUARD, raw.size() - start + front)
    raw.write(start - front, b"\xa5" * length)
    written = [_attempt(writer.write, at, data) for at, data in pieces]
    image = raw.read(start - front, length)
    return Transfer(written, image, [_attempt(reader.read, at, len(data)) for at, data in pieces])


def _say(read, data):
    if isinstance(read, int):
        return f"errno {read}"
    return "what the other wrote" if read == data else "garbage"


def both_ways(raw, stock, bulk, start, size, pieces, same=True, lossless=True):
    """What is wrong with what one mapping writes and the other reads: a list of sentences.

    same: the ciphertext is the same each time.  lossless: what is read is what was written; there
    are ciphers that cannot decrypt what they encrypted, and have to fail alike in both mappings.
    """
    wrong = []
    ours = transfer(raw, bulk, stock, start, size, pieces)
    theirs = transfer(raw, stock, bulk, start, size, pieces)
    if ours.written != theirs.written:
        wrong.append(f"written by stock: {theirs.written}, by crypt-bulk: {ours.written}")
    for index, (_, data) in enumerate(pieces):
        if ours.read[index] != theirs.read[index]:
            wrong.append(f"piece {index}: stock reads {_say(ours.read[index], data)}, "
                         f"crypt-bulk reads {_say(theirs.read[index], data)}")
    if lossless and theirs.read != [data for _, data in pieces]:
        wrong.append("what was written is not read")
    if same and ours.image != theirs.image:
        wrong.append("the ciphertext differs")
    if same:
        front = min(start, _GUARD)
        guards = theirs.image[:front] + theirs.image[front + size:]
        if guards.strip(b"\xa5"):
            wrong.append("written outside of the mapping")
    return wrong
