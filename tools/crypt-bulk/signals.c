// SPDX-License-Identifier: GPL-2.0-only
/* Signals that have to wait, while something is made that the program has to take away again. */
#include <signal.h>

#include "crypt-bulk.h"

/**
 * signals_hold() - from now on, let signals wait
 * @before: gets what signals_release() needs
 */
void signals_hold(sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, before);
}

/**
 * signals_wait() - does a signal wait that asks the program to end?
 */
bool signals_wait(void)
{
	static const int ending[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	sigset_t pending;
	size_t i;

	sigpending(&pending);
	for (i = 0; i < ARRAY_SIZE(ending); i++)
		if (sigismember(&pending, ending[i]))
			return true;
	return false;
}

/**
 * signals_release() - signals take effect as they did before, also those that came meanwhile
 * @before: what signals_hold() had given
 */
void signals_release(const sigset_t *before)
{
	sigprocmask(SIG_SETMASK, before, NULL);
}
