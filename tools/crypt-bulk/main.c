// SPDX-License-Identifier: GPL-2.0-only
/* crypt-bulk - open, convert and look at mappings of the device-mapper target crypt-bulk. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypt-bulk.h"

static const struct command commands[] = {
	{ "open", "DEVICE NAME", "map an encrypted volume as /dev/mapper/NAME", 1, 2,
	  COMMAND_OPEN, command_open },
	{ "close", "NAME", "remove a mapping", 1, 1, COMMAND_CLOSE, command_close },
	{ "convert", "NAME", "give a mapping in use the other target", 1, 1, COMMAND_CONVERT,
	  command_convert },
	{ "status", "[NAME]", "what mappings are, hold and have done", 0, 1, COMMAND_STATUS,
	  command_status },
	{ "table", "NAME", "print a mapping's table, without the key", 1, 1, COMMAND_TABLE,
	  command_table },
	{ "doctor", "", "what stands between this machine and a working set-up", 0, 0,
	  COMMAND_DOCTOR, command_doctor },
};

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void print_usage(FILE *to)
{
	size_t i;

	fputs("usage: crypt-bulk COMMAND [OPTION]... [ARGUMENT]...\n\n", to);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  %-8s %-12s %s\n", commands[i].name, commands[i].arguments,
			commands[i].purpose);
	fputs("\nOptions of each: crypt-bulk COMMAND --help. All in crypt-bulk(8).\n", to);
}

static void print_help(const struct command *command)
{
	printf("usage: crypt-bulk %s [OPTION]... %s\n\n%s.\n\n", command->name, command->arguments,
	       command->purpose);
	options_print(command);
}

static bool verbose;

/* A text is a line that ends in one, or many of them, as when --debug shows a header. */
static void log_library(int level, const char *text, void *context)
{
	(void)context;
	if (level != CRYPT_LOG_ERROR && level >= 0 && (!verbose || level != CRYPT_LOG_VERBOSE))
		return;
	while (*text) {
		size_t length = strcspn(text, "\n");

		say("libcryptsetup: %.*s", (int)length, text);
		text += length + (text[length] == '\n');
	}
}

static int run_command(const struct command *command, int argc, char **argv)
{
	struct options options;
	int ret;

	ret = options_parse(&options, command, argc, argv);
	if (ret)
		return ret;
	if (options.help) {
		print_help(command);
		return 0;
	}
	if (options.version) {
		puts("crypt-bulk " CRYPT_BULK_VERSION);
		return 0;
	}
	if (options.args_count < command->least || options.args_count > command->most)
		return say_error(-EINVAL, "usage: crypt-bulk %s [OPTION]... %s", command->name,
				 command->arguments);
	if (geteuid() && command->bit != COMMAND_DOCTOR)
		return say_error(-EINVAL, "crypt-bulk %s needs root's rights", command->name);
	if (options.debug)
		crypt_set_debug_level(CRYPT_DEBUG_ALL);
	verbose = options.verbose;
	ret = command->run(&options);
	if (verbose && ret)
		say("Command failed with code -%d.", exit_status(ret));
	else if (verbose)
		say("Command successful.");
	return ret;
}

int main(int argc, char **argv)
{
	const struct command *command = argc > 1 ? find_command(argv[1]) : NULL;
	struct options options;
	int ret;

	secrets_protect();
	crypt_set_log_callback(NULL, log_library, NULL);
	if (command) {
		ret = run_command(command, argc - 1, argv + 1);
	} else if (argc > 1 && argv[1][0] != '-') {
		ret = say_error(-EINVAL, "unknown command %s; see crypt-bulk --help", argv[1]);
	} else {
		ret = options_parse(&options, NULL, argc, argv);
		if (!ret && options.version) {
			puts("crypt-bulk " CRYPT_BULK_VERSION);
		} else if (!ret) {
			print_usage(options.help ? stdout : stderr);
			ret = options.help ? 0 : -EINVAL;
		}
	}
	if (fflush(stdout) && !ret)
		ret = say_error(-errno, "cannot write the output: %s", strerror(errno));
	return exit_status(ret);
}
