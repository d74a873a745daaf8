// SPDX-License-Identifier: GPL-2.0-only
/* What the program says to people, and the exit status that says it to programs. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "crypt-bulk.h"

/**
 * say_error() - tell what went wrong, and what to do
 * @error: a negative errno, which says how the program will end
 * @format: as printf()
 *
 * Return: @error.
 */
int say_error(int error, const char *format, ...)
{
	va_list args;

	fputs("crypt-bulk: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return error;
}

/**
 * say() - tell what happened, on standard error, since standard output is for answers
 * @format: as printf()
 */
void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/**
 * exit_status() - the exit status for an error, which is cryptsetup's
 * @error: 0 or a negative errno
 *
 * Return: 0; 1 wrong parameters and all else, 2 no permission (a wrong passphrase), 3 out of
 * memory, 4 wrong device or name, 5 exists already or is busy.
 */
int exit_status(int error)
{
	switch (error) {
	case 0:
		return 0;
	case -EPERM:
		return 2;
	case -ENOMEM:
		return 3;
	case -ENODEV:
	case -ENXIO:
	case -ENOTBLK:
		return 4;
	case -EEXIST:
	case -EBUSY:
		return 5;
	default:
		return 1;
	}
}
