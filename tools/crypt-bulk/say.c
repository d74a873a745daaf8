// SPDX-License-Identifier: GPL-2.0-only
/* What the program says to people, and the exit status that says it to programs. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "crypt-bulk.h"

/* Bytes of the character in UTF-8 that begins here; 0 if there is none, or one that controls. */
static size_t printable(const unsigned char *at)
{
	size_t length = *at >= 0xf0 ? 4 : *at >= 0xe0 ? 3 : 2;
	size_t i;

	if (*at < 0x80)
		return *at >= ' ' && *at != 0x7f;
	if (*at < 0xc2 || *at > 0xf4 || (*at == 0xc2 && at[1] < 0xa0))
		return 0;
	for (i = 1; i < length; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

/*
 * Words of a header may be in the text, which somebody else may have written: none of them gets to
 * give the terminal a command.
 */
static void print_line(const char *format, va_list args)
{
	char text[6000];
	unsigned char *at = (unsigned char *)text;

	vsnprintf(text, sizeof(text), format, args);
	while (*at) {
		size_t length = printable(at);

		if (!length)
			*at = '?';
		at += length ? length : 1;
	}
	fprintf(stderr, "%s\n", text);
}

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
	print_line(format, args);
	va_end(args);
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
	print_line(format, args);
	va_end(args);
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
