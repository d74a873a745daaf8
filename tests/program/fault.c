// SPDX-License-Identifier: GPL-2.0-only
/*
 * Preloaded into the program under test: makes one request to device-mapper fail, or stops the
 * program at it, so that a test can look at it from outside.
 *
 *	FAULT=NAME:COMMAND:COUNT:ACTION
 *
 * counts the requests with number COMMAND for mapping NAME, or for all whose name begins with NAME
 * if that ends in a star. The COUNT-th, from 1 on, with ACTION
 *	an errno		fails, and is not made
 *	an errno with a minus	is made, and reported as failed
 *	suspend			of a resume: is made a suspend, and reported as failed
 *	stop			is made after the program was stopped and continued
 *	spoil			is made, and from then on no two reads give the same, until a table
 *				is loaded
 *	exit			is made, and the program stops when it ends
 *	A resume, which shares its number with suspend, is COMMAND 6.
 *
 *	FAULT=interrupt
 *
 * sends a SIGINT as soon as the terminal does not show what is typed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/dm-ioctl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static bool spoil, stop_at_exit;
/* The mapping that was created last: its first table is loaded by its number. */
static struct dm_ioctl created;

static bool is_named(const struct dm_ioctl *dm, const char *name)
{
	const char *its = !*dm->name && dm->dev == created.dev ? created.name : dm->name;
	size_t length = strcspn(name, "*");

	return !strncmp(its, name, name[length] ? length : DM_NAME_LEN);
}

static bool is_wanted(unsigned long request, const struct dm_ioctl *dm, char *action)
{
	static unsigned int seen;
	const char *fault = getenv("FAULT");
	unsigned int command, count;
	char name[DM_NAME_LEN];

	if (!fault || _IOC_TYPE(request) != DM_IOCTL ||
	    sscanf(fault, "%127[^:]:%u:%u:%15s", name, &command, &count, action) != 4)
		return false;
	if (_IOC_NR(request) == DM_TABLE_LOAD_CMD)
		spoil = false;
	return is_named(dm, name) && _IOC_NR(request) == command && ++seen == count;
}

typedef int tcsetattr_function(int file, int when, const struct termios *wanted);
typedef int ioctl_function(int file, unsigned long request, ...);
typedef ssize_t pread_function(int file, void *to, size_t size, off64_t at);

int ioctl(int file, unsigned long request, ...)
{
	ioctl_function *real = dlsym(RTLD_NEXT, "ioctl");
	char action[16] = "";
	va_list args;
	void *argument;
	int error;

	va_start(args, request);
	argument = va_arg(args, void *);
	va_end(args);
	if (!is_wanted(request, argument, action)) {
		int ret = real(file, request, argument);

		if (_IOC_TYPE(request) == DM_IOCTL && _IOC_NR(request) == DM_DEV_CREATE_CMD && !ret)
			memcpy(&created, argument, sizeof(created));
		return ret;
	}

	error = atoi(action);
	if (!strcmp(action, "stop"))
		raise(SIGSTOP);
	if (!strcmp(action, "suspend")) {
		((struct dm_ioctl *)argument)->flags |= DM_SUSPEND_FLAG;
		error = -EIO;
	}
	if (error <= 0) {
		int ret = real(file, request, argument);

		if (!error) {
			spoil = !strcmp(action, "spoil");
			stop_at_exit = !strcmp(action, "exit");
			return ret;
		}
	}
	errno = abs(error);
	return -1;
}

ssize_t pread64(int file, void *to, size_t size, off64_t at)
{
	static unsigned char different;
	pread_function *real = dlsym(RTLD_NEXT, "pread64");
	ssize_t got = real(file, to, size, at);

	if (spoil && got > 0)
		*(unsigned char *)to ^= ++different;
	return got;
}

__attribute__((destructor)) static void stop(void)
{
	if (stop_at_exit)
		raise(SIGSTOP);
}

int tcsetattr(int file, int when, const struct termios *wanted)
{
	tcsetattr_function *real = dlsym(RTLD_NEXT, "tcsetattr");
	const char *fault = getenv("FAULT");
	int ret = real(file, when, wanted);

	if (fault && !strcmp(fault, "interrupt") && !(wanted->c_lflag & ECHO))
		raise(SIGINT);
	return ret;
}
