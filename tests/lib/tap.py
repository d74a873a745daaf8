# SPDX-License-Identifier: GPL-2.0
"""TAP for the guest's suites: one named function a property, nothing silent.

A suite marks its functions with @test("property") or @each("property of {}", cases), and ends in
`tap.main()`.  A function gets a Test: its checks, and an ExitStack for whatever it sets up.  All
failed checks of a function are reported, not only the first; an exception, in it, in one of its
threads or in its clean-up, is a failure.  Skip is the only way not to pass and not to fail.

SEED=N	repeats what is chosen at random
WHOLE=1	all cases, where otherwise a sample is run
"""

import collections
import contextlib
import itertools
import os
import random
import signal
import sys
import threading
import time
import traceback

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
WHOLE = bool(os.environ.get("WHOLE"))

_Entry = collections.namedtuple("_Entry", "name function args timeout sample")
_registry = []
# A kernel that checks every access takes several times as long, and so may all that waits for it;
# what can be made smaller divides its size by this.
SLOWNESS = 4 if os.environ.get("DCB_FLAVOUR") in ("debug", "kcsan") else 1
# Seconds for a function, unless it asks for more: enough on the slowest machine, since the limit is
# there to find what hangs.
LIMIT = 400
# Lines a failing function may print: enough to see a pattern, not all of 4000 combinations.
_MAX_REPORTS = 12


class Skip(Exception):
    """The property cannot be observed here; the argument says why."""


class Timeout(Exception):
    """A function outlived its time limit."""


class Aborted(Exception):
    """A check failed after which the function cannot go on."""


class Test:
    """One running function: its checks and what is to be undone after it."""

    def __init__(self, name):
        self.name = name
        self.stack = contextlib.ExitStack()
        self.failures = []
        self.checks = 0
        self._lock = threading.Lock()

    def enter(self, manager):
        return self.stack.enter_context(manager)

    def defer(self, function, *args):
        self.stack.callback(function, *args)

    def fail(self, message):
        with self._lock:
            self.failures.append(message)

    def check(self, condition, message):
        with self._lock:
            self.checks += 1
        if not condition:
            self.fail(message)
        return bool(condition)

    def equal(self, got, wanted, message):
        return self.check(got == wanted, f"{message}: got {got!r}, wanted {wanted!r}")

    def require(self, condition, message):
        """A check without which the rest of the function makes no sense."""
        if not self.check(condition, message):
            raise Aborted()

    def raises(self, kind, errno_wanted, function, *args):
        """Check that the call fails with this errno; any other exception is an error."""
        # Data among the arguments would only drown the message.
        shown = ", ".join(f"{len(arg)} bytes" if isinstance(arg, bytes) else repr(arg)
                          for arg in args)
        call = f"{function.__name__}({shown})"
        try:
            function(*args)
        except kind as error:
            return self.equal(error.errno, errno_wanted, f"errno of {call}")
        return self.check(False, f"{call} succeeded, wanted errno {errno_wanted}")

    def threads(self, functions, timeout=LIMIT):
        """Run all at once; what one of them raises fails the test, as does one that hangs."""
        errors = []

        def guarded(function):
            try:
                function()
            except Exception:
                errors.append(traceback.format_exc())

        running = [threading.Thread(target=guarded, args=(f,), daemon=True) for f in functions]
        for thread in running:
            thread.start()
        timeout *= SLOWNESS
        deadline = time.monotonic() + timeout
        for thread in running:
            thread.join(max(0.01, deadline - time.monotonic()))
        stuck = sum(thread.is_alive() for thread in running)
        self.check(not stuck, f"{stuck} of {len(running)} threads still run after {timeout} s")
        for error in errors:
            self.fail(f"in a thread: {error}")


def test(name, timeout=LIMIT):
    def register(function):
        _registry.append(_Entry(name, function, (), timeout, None))
        return function
    return register


def each(name, cases, timeout=LIMIT, sample=None):
    """One test point for every case; a case is a tuple of arguments or one argument.

    With a sample, no more cases than that are run unless WHOLE is set, others for another SEED;
    without one, half of them where the kernel is slow.
    """
    def register(function):
        for case in cases:
            args = case if isinstance(case, tuple) else (case,)
            _registry.append(_Entry(name.format(*args), function, args, timeout, sample))
        return function
    return register


def diag(text):
    for line in str(text).rstrip().splitlines():
        print(f"# {line}", flush=True)


def poll(condition, timeout=30, interval=0.02):
    """Wait until the condition holds; its last value."""
    deadline = time.monotonic() + timeout * SLOWNESS
    while True:
        value = condition()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(interval)


def _on_alarm(_signal, _frame):
    raise Timeout()


def _run(function, args, current):
    """The function and its clean-up; None, or the reason to skip."""
    reason = None
    try:
        with current.stack:
            function(current, *args)
    except Skip as skip:
        reason = str(skip) or "no reason given"
    except Aborted:
        pass
    except Timeout:
        current.fail("timed out:\n" + traceback.format_exc())
    except Exception:
        current.fail(traceback.format_exc())
    if reason is None and not current.checks and not current.failures:
        current.fail("checked nothing")
    return reason


def _chosen(words):
    """Those whose names have one of the words; without any, all but what samples leave out."""
    if words:
        return [entry for entry in _registry if any(word in entry.name for word in words)]
    chosen = []
    rng = random.Random(SEED)
    for _, group in itertools.groupby(_registry, lambda entry: entry.function):
        group = list(group)
        sample = group[0].sample or (len(group) if SLOWNESS == 1 else (len(group) + 1) // 2)
        if sample < len(group) and not WHOLE:
            group = [group[at] for at in sorted(rng.sample(range(len(group)), sample))]
        chosen += group
    return chosen


def main():
    """Run the suite; arguments are words, one of which a test's name must contain."""
    words = sys.argv[1:]
    chosen = _chosen(words)
    unknown = [word for word in words if not any(word in entry.name for entry in chosen)]
    if unknown:
        print(f"1..1\nnot ok 1 - words in the names of tests\n# no test has {unknown}", flush=True)
        sys.exit(1)
    print(f"1..{len(chosen)}", flush=True)
    if len(chosen) < len(_registry) and not words:
        diag(f"SEED={SEED}: a sample of {len(chosen)} of {len(_registry)} tests, WHOLE=1 runs all")
    signal.signal(signal.SIGALRM, _on_alarm)
    bad = 0
    for number, (name, function, args, timeout, _) in enumerate(chosen, 1):
        current = Test(name)
        start = time.monotonic()
        signal.alarm(timeout * SLOWNESS)
        reason = _run(function, args, current)
        signal.alarm(0)
        spent = time.monotonic() - start
        if current.failures:
            bad += 1
            print(f"not ok {number} - {name}", flush=True)
            for failure in current.failures[:_MAX_REPORTS]:
                diag(failure)
            if len(current.failures) > _MAX_REPORTS:
                diag(f"and {len(current.failures) - _MAX_REPORTS} more")
        elif reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        else:
            print(f"ok {number} - {name}", flush=True)
        diag(f"{current.checks} checks, {spent:.1f} s")
    # A thread left hanging in the kernel must not keep the verdict from going out.
    sys.stdout.flush()
    os._exit(1 if bad else 0)
