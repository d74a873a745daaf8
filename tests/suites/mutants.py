#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Lines and messages changed beyond recognition, on the live target, with stock beside it.

FUZZ_LINES=N	so many lines, and 500 messages more than a quarter of that; otherwise 400 lines
SEED=N	repeats a run
"""

import itertools
import os
import random

import cases
import differences
import dm
import judging
import linegen
import tap

LINES = int(os.environ.get("FUZZ_LINES") or 400)
MESSAGES = LINES // 4 + 500
LIMIT = 300 + LINES // 8
SECTORS = 64

# A cipher for each way in which a mapping holds its key, and the size of that key.
CIPHERS = (("aes-xts-plain64", 64), ("aes-cbc-essiv:sha256", 32), ("aes:2-cbc-eboiv", 64),
           ("aes:64-cbc-lmk", 1040), ("aes-cbc-tcw", 64), ("aes-cbc-elephant", 64))


def run_lines(test):
    rng = random.Random(tap.SEED)
    tap.diag(f"SEED={tap.SEED} FUZZ_LINES={LINES}")
    judging.prepare(test)
    pool = list(linegen.distinct(linegen.crossed(), linegen.broken()))
    chosen = itertools.islice(linegen.distinct(linegen.wild(rng, pool)), LINES)
    tally = judging.Tally(chosen, LINES)
    workers = [judging.Pair(test.stack) for _ in range(judging.WORKERS)]
    judging.run(test, workers, tally, LIMIT)
    return tally


@tap.test("changed lines: both take one, or both refuse it with the same errno", LIMIT)
def test_lines(test):
    tally = run_lines(test)
    for check in ("verdict", "printed"):
        for message in tally.unknown(check):
            test.fail(f"{check}: {message}")
    test.equal(tally.accepted + tally.rejected, LINES, "lines that were judged")
    test.check(tally.accepted >= LINES // 50, f"only {tally.accepted} were accepted")
    test.check(tally.rejected >= LINES // 10, f"only {tally.rejected} were refused")


class Mapping:
    """A mapping that gets messages, and the key that it had at first."""

    def __init__(self, test, line, target):
        self.mapping = test.enter(dm.crypt(line, SECTORS, target))

    def send(self, text):
        """0, or the errno of a message."""
        try:
            dm.message(self.mapping.name, text)
        except OSError as error:
            return error.errno
        return 0

    def suspend(self, wanted):
        """The errno of a suspend or resume, or 0."""
        try:
            (dm.suspend if wanted else dm.resume)(self.mapping.name)
        except OSError as error:
            return error.errno
        return 0


def judge_message(text, stock, bulk, suspended):
    """What differs of a message's fate, or None; and whether both took it."""
    fates = [one.send(text) for one in (stock, bulk)]
    taken = not any(fates)
    if fates[0] != fates[1] and not differences.find_message(text, *fates):
        return f"stock: {fates[0]}, crypt-bulk: {fates[1]}, suspended: {suspended}", taken
    # A failed "key set" takes the key away here, and may not there.
    if taken and stock.mapping.line() != bulk.mapping.line():
        return f"printed: {stock.mapping.line()}, {bulk.mapping.line()}", taken
    return None, taken


def restore(test, key, pair):
    """Both have their first key again, and are suspended."""
    for one in pair:
        one.suspend(True)
        test.equal(one.send(f"key set {key}"), 0, "the mapping takes its key again")


@tap.each("changed messages to {0}", CIPHERS, LIMIT)
def test_messages(test, cipher, size):
    judging.prepare(test)
    rng = random.Random(tap.SEED)
    key = cases.key(size)
    device = judging.Devices(test.stack)
    line = device.fill(cases.line(cipher, key, 0, "DEV"))
    pair = [Mapping(test, line, target) for target in (dm.STOCK, dm.TARGET)]
    good = [f"key set {cases.key(size, salt)}" for salt in ("", "other")]
    good += [f"key set :{size}:{kind}:dcb:k{size}" for kind in ("user", "logon")
             if size in linegen.KEYRING_SIZES]
    bad = ["key wipe", "key", "key set", "key set -", f"key set {key}00", f"key wipe {key}",
           "set", "wipe", f"key set :{size}:user:dcb:revoked", "KEY SET " + key.upper(), "\\ ",
           f"key set :{size}:logon:dcb:missing", f"key set {key[:-1]}g", "stat", "stats now"]
    suspended, taken = False, 0
    for text in itertools.islice(linegen.messages(rng, good, bad), MESSAGES // len(CIPHERS)):
        if not rng.randrange(4):
            suspended = not suspended
            fates = [one.suspend(suspended) for one in pair]
            test.check(not any(fates), f"suspend or resume: {fates}")
        wrong, both = judge_message(text, *pair, suspended)
        taken += both
        test.check(not wrong, f"{text!r}: {wrong}")
        if suspended:
            restore(test, key, pair)
    tap.diag(f"{taken} of {MESSAGES // len(CIPHERS)} messages were taken")
    test.check(taken, "not one message was taken")
    restore(test, key, pair)
    for one in pair:
        test.equal(one.suspend(False), 0, "resumed in the end")


if __name__ == "__main__":
    tap.main()
