// SPDX-License-Identifier: GPL-2.0-only
/* The command line: one table of all options, with the commands that take each. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypt-bulk.h"

/* A COUNT is a number that an int can hold. */
enum kind { FLAG, TEXT, NUMBER, COUNT, SIZE };

#define ANY	(~0U)
#define UNLOCK	(COMMAND_OPEN | COMMAND_CONVERT)

static const struct option_row {
	const char *name;
	char letter;
	enum kind kind;
	unsigned int commands;
	size_t place;
	const char *value;
	const char *meaning;
} rows[] = {
#define ROW(member, ...)	{ __VA_ARGS__, .place = offsetof(struct options, member) }
	ROW(type, "type", 'M', TEXT, COMMAND_OPEN, .value = "TYPE",
	    .meaning = "luks (default), luks1, luks2 or plain"),
	ROW(to, "to", 0, TEXT, COMMAND_CONVERT, .value = "TARGET",
	    .meaning = "crypt-bulk (default) or crypt"),
	ROW(key_file, "key-file", 'd', TEXT, UNLOCK, .value = "FILE",
	    .meaning = "read the passphrase from FILE, whole; - is standard input"),
	ROW(keyfile_offset, "keyfile-offset", 0, SIZE, UNLOCK, .value = "BYTES",
	    .meaning = "leave out so much at the start of the key file"),
	ROW(keyfile_size, "keyfile-size", 'l', SIZE, UNLOCK, .value = "BYTES",
	    .meaning = "read so much of the key file"),
	ROW(volume_key_file, "volume-key-file", 0, TEXT, UNLOCK, .value = "FILE",
	    .meaning = "FILE is the volume key itself"),
	ROW(header, "header", 0, TEXT, UNLOCK, .value = "DEVICE",
	    .meaning = "the LUKS header is there, not on the data device"),
	ROW(key_slot, "key-slot", 'S', COUNT, UNLOCK, .value = "SLOT",
	    .meaning = "try this key slot only"),
	ROW(token_only, "token-only", 0, FLAG, UNLOCK,
	    .meaning = "unlock with a token of the LUKS2 header, ask for nothing"),
	ROW(token_id, "token-id", 0, COUNT, UNLOCK, .value = "ID",
	    .meaning = "the token to unlock with"),
	ROW(tries, "tries", 'T', COUNT, UNLOCK, .value = "COUNT",
	    .meaning = "ask so often for a passphrase (default 3)"),
	ROW(timeout, "timeout", 't', COUNT, UNLOCK, .value = "SECONDS",
	    .meaning = "give up when a passphrase is not typed in so long"),
	ROW(test_passphrase, "test-passphrase", 0, FLAG, COMMAND_OPEN,
	    .meaning = "only check that it unlocks; NAME is not needed"),
	ROW(read_only, "readonly", 'r', FLAG, COMMAND_OPEN, .meaning = "map read-only"),
	ROW(shared, "shared", 0, FLAG, COMMAND_OPEN,
	    .meaning = "plain: the device may be in use by other mappings"),
	ROW(cipher, "cipher", 'c', TEXT, COMMAND_OPEN, .value = "CIPHER",
	    .meaning = "plain: as aes-xts-plain64"),
	ROW(key_size, "key-size", 's', COUNT, UNLOCK, .value = "BITS",
	    .meaning = "plain: size of the key"),
	ROW(hash, "hash", 'h', TEXT, UNLOCK, .value = "HASH",
	    .meaning = "plain: how a passphrase becomes the key, as sha256"),
	ROW(offset, "offset", 'o', NUMBER, COMMAND_OPEN, .value = "SECTORS",
	    .meaning = "plain: where the data begins on the device"),
	ROW(skip, "skip", 'p', NUMBER, COMMAND_OPEN, .value = "SECTORS",
	    .meaning = "plain: number of the first sector, for the IV"),
	ROW(size, "size", 'b', NUMBER, COMMAND_OPEN, .value = "SECTORS",
	    .meaning = "plain: length of the mapping"),
	ROW(sector_size, "sector-size", 0, COUNT, COMMAND_OPEN, .value = "BYTES",
	    .meaning = "plain: encryption sector, 512 to 4096"),
	ROW(iv_large_sectors, "iv-large-sectors", 0, FLAG, COMMAND_OPEN,
	    .meaning = "plain: count IVs in encryption sectors"),
	ROW(allow_discards, "allow-discards", 0, FLAG, COMMAND_OPEN,
	    .meaning = "pass discards (TRIM) on to the device"),
	ROW(same_cpu_crypt, "perf-same_cpu_crypt", 0, FLAG, COMMAND_OPEN,
	    .meaning = "encrypt on the CPU that asked for it"),
	ROW(submit_from_crypt_cpus, "perf-submit_from_crypt_cpus", 0, FLAG, COMMAND_OPEN,
	    .meaning = "no thread that sorts writes"),
	ROW(no_read_workqueue, "perf-no_read_workqueue", 0, FLAG, COMMAND_OPEN,
	    .meaning = "no work queue for reads"),
	ROW(no_write_workqueue, "perf-no_write_workqueue", 0, FLAG, COMMAND_OPEN,
	    .meaning = "no work queue for writes"),
	ROW(high_priority, "perf-high_priority", 0, FLAG, COMMAND_OPEN,
	    .meaning = "work queues of high priority"),
	ROW(no_journal, "integrity-no-journal", 0, FLAG, COMMAND_OPEN,
	    .meaning = "authenticated volumes: no journal"),
	ROW(persistent, "persistent", 0, FLAG, COMMAND_OPEN,
	    .meaning = "LUKS2: keep these flags in the header"),
	ROW(json, "json", 0, FLAG, COMMAND_STATUS, .meaning = "for programs"),
	ROW(deferred, "deferred", 0, FLAG, COMMAND_CLOSE,
	    .meaning = "close as soon as nobody uses it"),
	ROW(sysroot, "sysroot", 0, TEXT, COMMAND_DOCTOR, .value = "DIR",
	    .meaning = "look at the files under DIR instead of /"),
	ROW(batch_mode, "batch-mode", 'q', FLAG, ANY,
	    .meaning = "accepted as cryptsetup does; nothing asks for a confirmation"),
	ROW(verbose, "verbose", 'v', FLAG, ANY, .meaning = "say also that a command succeeded"),
	ROW(debug, "debug", 0, FLAG, ANY, .meaning = "let libcryptsetup tell what it does"),
	ROW(help, "help", 0, FLAG, ANY, .meaning = "this text"),
	ROW(version, "version", 'V', FLAG, ANY, .meaning = "the program's version"),
#undef ROW
};

static void set_defaults(struct options *options)
{
	size_t i;

	*options = (struct options){ 0 };
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].kind >= NUMBER)
			*(int64_t *)((char *)options + rows[i].place) = -1;
}

static int parse_number(const struct option_row *row, const char *text, int64_t *value)
{
	static const char suffixes[] = "kmgt";
	unsigned long long number;
	int shift = 0;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (row->kind == SIZE && *end && !end[1]) {
		const char *suffix = strchr(suffixes, *end | 0x20);

		if (suffix) {
			shift = 10 * (suffix - suffixes + 1);
			end++;
		}
	}
	if (errno || !*text || !strchr("0123456789", *text) || *end ||
	    number > (row->kind == COUNT ? INT_MAX : (uint64_t)INT64_MAX >> shift))
		return say_error(-EINVAL, "--%s: \"%s\" is no number%s", row->name, text,
				 row->kind == COUNT ? ", or too large" : "");
	*value = (int64_t)number << shift;
	return 0;
}

static int take_option(struct options *options, const struct command *command,
		       const struct option_row *row, const char *value)
{
	void *place = (char *)options + row->place;

	if (command && !(row->commands & command->bit))
		return say_error(-EINVAL, "--%s is not for %s; see crypt-bulk %s --help", row->name,
				 command->name, command->name);
	switch (row->kind) {
	case FLAG:
		*(bool *)place = true;
		return 0;
	case TEXT:
		*(const char **)place = value;
		return 0;
	default:
		return parse_number(row, value, place);
	}
}

/* getopt's two notations of the table. */
static void fill_getopt(struct option *longs, char *shorts)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		longs[i] = (struct option){
			rows[i].name, rows[i].kind == FLAG ? no_argument : required_argument,
			NULL, 256 + i
		};
		if (!rows[i].letter)
			continue;
		*shorts++ = rows[i].letter;
		if (rows[i].kind != FLAG)
			*shorts++ = ':';
	}
	longs[i] = (struct option){ 0 };
	*shorts = '\0';
}

static const struct option_row *find_row(int found)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (found == 256 + (int)i || (rows[i].letter && found == rows[i].letter))
			return &rows[i];
	return NULL;
}

/**
 * options_parse() - read a command line
 * @options: gets what it says
 * @command: the command, NULL if there is none
 * @argc: words, of which the first is passed over
 * @argv: the words
 */
int options_parse(struct options *options, const struct command *command, int argc, char **argv)
{
	struct option longs[ARRAY_SIZE(rows) + 1];
	char shorts[2 * ARRAY_SIZE(rows) + 1];
	int found, ret;

	set_defaults(options);
	fill_getopt(longs, shorts);
	opterr = 0;
	while ((found = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct option_row *row = find_row(found);

		if (!row)
			return say_error(-EINVAL, "unknown option, or one without its value: %s",
					 argv[optind - 1]);
		ret = take_option(options, command, row, optarg);
		if (ret)
			return ret;
	}
	for (; optind < argc; optind++) {
		if (options->args_count == (int)ARRAY_SIZE(options->args))
			return say_error(-EINVAL, "too many arguments: %s", argv[optind]);
		options->args[options->args_count++] = argv[optind];
	}
	return 0;
}

/**
 * options_print() - print the options of a command
 * @command: the command
 */
void options_print(const struct command *command)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		char name[64];

		if (!(rows[i].commands & command->bit))
			continue;
		snprintf(name, sizeof(name), "--%s%s%s", rows[i].name, rows[i].value ? " " : "",
			 rows[i].value ? rows[i].value : "");
		if (rows[i].letter)
			printf("  -%c, %-33s %s\n", rows[i].letter, name, rows[i].meaning);
		else
			printf("      %-33s %s\n", name, rows[i].meaning);
	}
}
