#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Thousands of table lines through both targets: same verdict, same bytes, same text.

SEED=N	the seed of the random part, and of the choice where only a sample is run
WHOLE=1	all lines; otherwise a sample that takes a minute or two
"""

import itertools
import os
import random
import re

import differences
import dm
import exchange
import judging
import linegen
import tap

# Changed lines of a whole run and of a sample, other lines of a sample.
MUTATED, SAMPLED_MUTATED, SAMPLED = 1500, 150, 650
# What a whole run has to see of each.
ENOUGH = 1500
LIMIT = 1500
BLOB = random.Random(0).randbytes(64 << 10)
# At the start, across several sectors of any size, and at the end.
PIECES = [(at, BLOB[at:at + size])
          for at, size in ((0, 4096), (8192, 12288), (linegen.SECTORS * 512 - 4096, 4096))]

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "differences.md")
RESULTS = []


class Worker(judging.Pair):
    """Takes lines to both targets and writes to what both take."""

    def compare(self, params):
        yield from super().compare(params)
        stock = self.stock.printed()
        words = stock.split(" ")
        raw = self.devices.below(stock)
        if not raw:
            self.clear()
            return
        started = [side.start() for side in (self.stock, self.bulk)]
        if any(started):
            # Offsets that the blocks of the device below do not suit.
            if started[0] != started[1]:
                yield "verdict", *(f"starts: {one}" for one in started)
            return
        wrong = exchange.both_ways(raw, self.stock.opened(), self.bulk.opened(),
                                   int(words[4]) << 9, linegen.SECTORS << 9, PIECES,
                                   same="-random" not in words[0],
                                   lossless="-lmk" not in words[0])
        if wrong:
            yield "data", "", "; ".join(wrong)


def chosen_lines():
    rng = random.Random(tap.SEED)
    crossed = list(linegen.distinct(linegen.crossed()))
    fixed = list(linegen.distinct(crossed, linegen.broken()))
    if not tap.WHOLE:
        fixed = rng.sample(fixed, SAMPLED)
    changed = itertools.islice(linegen.distinct(linegen.mutated(rng, crossed)),
                               MUTATED if tap.WHOLE else SAMPLED_MUTATED)
    chosen = list(linegen.distinct(fixed, changed))
    rng.shuffle(chosen)
    return chosen


def run(test):
    """All lines through both targets."""
    tap.diag(f"SEED={tap.SEED}{' WHOLE=1' if tap.WHOLE else ''}")
    judging.prepare(test)
    chosen = chosen_lines()
    tally = judging.Tally(chosen, len(chosen))
    judging.run(test, [Worker(test.stack) for _ in range(judging.WORKERS)], tally, LIMIT)
    return tally


def results(test):
    """What came of the lines, which the first test to ask runs."""
    if not RESULTS:
        RESULTS.append(run(test))
    return RESULTS[0]


def no_difference(test, check):
    tally = results(test)
    test.check(True, check)
    for message in tally.unknown(check):
        test.fail(message)
    return tally


@tap.test("both targets take a line, or both refuse it with the same errno", LIMIT)
def test_verdicts(test):
    tally = no_difference(test, "verdict")
    test.equal(tally.accepted + tally.rejected, tally.total, "lines that were judged")


@tap.test("what both take is the same on the disk, and each reads what the other wrote", LIMIT)
def test_data(test):
    no_difference(test, "data")


@tap.test("what both take is printed alike", LIMIT)
def test_printed(test):
    no_difference(test, "printed")


@tap.test("what both refuse is refused in the same words", LIMIT)
def test_texts(test):
    no_difference(test, "text")


@tap.test("lines that stock accepts and lines that it rejects are enough of each", LIMIT)
def test_enough(test):
    tally = results(test)
    least = ENOUGH if tap.WHOLE else 100
    test.check(tally.accepted >= least, f"{tally.accepted} accepted lines, wanted {least}")
    test.check(tally.rejected >= least, f"{tally.rejected} rejected lines, wanted {least}")


@tap.test("every documented difference is there, and every one in the table is documented", LIMIT)
def test_rules(test):
    if dm.TARGET == dm.STOCK:
        raise tap.Skip("stock is under test")
    with open(DOCUMENT) as file:
        headings = set(re.findall(r"^### (.*)$", file.read(), re.M))
    test.equal(sorted({rule.heading for rule in differences.RULES}), sorted(headings),
               "rules, and headings of docs/differences.md")
    tally = results(test)
    if tap.WHOLE:
        met = [one.rule for one in tally.found]
        for rule in differences.expected(tally.version):
            test.check(rule in met, f"no line meets {rule}")


@tap.test("lines that stock cannot survive are refused, or do no harm")
def test_hostile(test):
    if dm.TARGET == dm.STOCK:
        raise tap.Skip("stock is under test")
    devices = judging.Devices(test.stack)
    side = judging.Side(test.stack, dm.TARGET)
    for line in linegen.HOSTILE:
        test.check(linegen.hostile(line), f"known as such: {line}")
        test.check(side.judge(devices.fill(line)).errno, f"accepted: {line}")
    for line in linegen.HOSTILE_LIVE:
        if not side.judge(devices.fill(line)).errno:
            test.equal(side.start(), 0, f"live: {line}")
            for at, data in PIECES:
                side.opened().write(at, data)
                test.check(side.opened().read(at, len(data)) == data, f"read back: {line}")


if __name__ == "__main__":
    tap.main()
