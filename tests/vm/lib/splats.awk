# Finds what the kernel reported as its own fault in a log, and prints it with its context, and at the
# end "found by a check of the kernel's" if one of these looked for it and it did not fall over it, or
# if it fell in a module of ours.
# Exits 0 when there is such a report, 1 when there is none.

# Every message is matched from its beginning, so that a test may quote one ("TEST: BUG: ...").

# What no check has found: it went wrong, or stood still.
function is_crash(text)
{
	return text ~ /^BUG: (unable to handle|kernel NULL pointer|workqueue lockup)/ ||
		text ~ /^(NMI )?watchdog: (kernel )?BUG[: ]/ ||
		text ~ /^Oops[: ]/ ||
		text ~ /^Kernel panic - not syncing/ ||
		text ~ /^(general protection fault|double fault|divide error|invalid opcode)[,:]/ ||
		text ~ /^(stack segment|bounds|int3|PANIC|traps: PANIC): / ||
		text ~ /^KASAN: / ||
		text ~ /^INFO: task .* blocked (for more than|in I\/O wait)/ ||
		text ~ /^(rcu: )?INFO: rcu.* (detected|stall)/ ||
		text ~ /hard (lockup|LOCKUP)/ && text ~ /^(NMI )?[Ww]atchdog/
}

function is_finding(text)
{
	return text ~ /^-+\[ cut here \]-+/ ||
		text ~ /^(kernel )?BUG[: ]/ ||
		text ~ /^\[ BUG: / ||
		text ~ /^WARNING: / ||
		text ~ /^\[? ?INFO: (possible|suspicious|inconsistent|trying to register) / ||
		text ~ /^(KMSAN|KFENCE|UBSAN|ODEBUG): / ||
		text ~ /^kmemleak: .*detector disabled/ ||
		text ~ /^pagealloc: (memory corruption|single bit error)/ ||
		text ~ /^kmem_cache_destroy .*still has objects/ ||
		text ~ /^(list_add|list_del) corruption/
}

# Traces that are no fault: an allocation that had to kill, a fault that was injected, a dump that
# was asked for. Whatever else goes wrong meanwhile has a heading of its own.
function is_expected(text)
{
	return text ~ /invoked oom-killer/ ||
		text ~ /: page allocation failure: order:[0-9]+, .*GFP_ATOMIC/ ||
		text ~ /^FAULT_INJECTION: forcing a failure/ ||
		text ~ /^sysrq: Show / ||
		text ~ /^NMI backtrace for cpu|^Sending NMI from CPU/
}

function note(number, by_check)
{
	if (!first)
		first = number
	last = NR
	found = found || by_check
}

function names_ours(text)
{
	return text ~ /\[(dm_crypt_bulk|mempool_bulk_test|mistakes)\]/
}

# A race is a fault only where modules of ours had a part in it: the kernel has many of its own that
# it knows to be harmless. Such a report ends in a line of equals signs; what the worker that it came
# from was about to do, or had done, is no part of it.
function is_race_of_ours(text)
{
	if (text ~ /^BUG: KCSAN: /)
		race = NR
	else if (text ~ /^==+$/)
		race = 0
	return race && text !~ /^Workqueue: / && names_ours(text)
}

# Memory that was lost is a fault unless the stock target lost it in a way that is known: a name that a
# line has twice. What kmemleak found is counted, and what the guest's init tells of each object, some
# more than once, looked at for that.
function look_at_leak(text, words)
{
	if (text ~ /^kmemleak: [0-9]+ new suspected/) {
		split(text, words, " ")
		leaked += words[2]
		if (!leak)
			leak = NR
	} else if (text ~ /^leak: unreferenced object /) {
		end_of_object()
		object = text
	} else if (text ~ /^leak: /) {
		copied = copied || text ~ /^leak: kstrdup\+/
		stocks_own = stocks_own || text ~ /^leak: crypt_ctr\+.*\[dm_crypt\]/
		ours = ours || names_ours(text)
	}
}

function end_of_object()
{
	leaked -= copied && stocks_own && !ours && !excused[object]++
	copied = stocks_own = ours = 0
}

# The processor was in a module of ours.
function is_in_module(text)
{
	return text ~ /^RIP: / && names_ours(text)
}

# A processor that is emulated can stand still with all its tasks, and is told of once when it goes
# on. A lock-up that lasts is told of again.
function is_passing_lockup(text)
{
	if (text !~ /^watchdog: BUG: soft lockup - CPU#/)
		return 0
	sub(/ stuck for [0-9]+s!/, "", text)
	return !lockups[text]++
}

{
	line[NR] = $0
	text = $0
	sub(/^\[ *[0-9]+\.[0-9]+\](\[ *[TC][0-9]+\])? /, "", text)

	# From here on the log is the answer to the harness's own question.
	if (text ~ /^harness: time ran out/)
		exit
	if (is_passing_lockup(text)) {
		expected_until = NR + 60
		next
	}
	if (is_expected(text))
		expected_until = NR + 60
	if (text ~ /^ *Call Trace:/ && NR <= expected_until) {
		expected_until = NR + 60
		next
	}
	look_at_leak(text)
	if (is_race_of_ours(text))
		note(race, 1)
	else if (text ~ /^BUG: KCSAN: /)
		next
	else if (is_crash(text) || text ~ /^ *Call Trace:/ && !race)
		note(NR, 0)
	else if (is_finding(text))
		note(NR, 1)
	else if (first && NR > expected_until && is_in_module(text))
		note(NR, 1)
}

END {
	end_of_object()
	if (leaked > 0)
		note(leak, 1)
	if (!first)
		exit 1
	from = first > 5 ? first - 5 : 1
	to = last + 50 < from + 300 ? last + 50 : from + 300
	for (i = from; i <= to && i in line; i++)
		print line[i]
	if (found)
		print "found by a check of the kernel's"
	exit 0
}
