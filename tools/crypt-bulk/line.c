// SPDX-License-Identifier: GPL-2.0-only
/*
 * dm-crypt's table line, taken apart and put together:
 *
 *   <cipher> <key> <iv_offset> <device> <offset> [<#opt_params> <opt_params>]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypt-bulk.h"

/* What a flag is called: in a table line, in a LUKS2 header, by libcryptsetup */
static const struct {
	unsigned int flag;
	const char *word;
	const char *header;
	uint32_t crypt;
} flags_known[] = {
	{ FLAG_DISCARDS, "allow_discards", "allow-discards", CRYPT_ACTIVATE_ALLOW_DISCARDS },
	{ FLAG_SAME_CPU, "same_cpu_crypt", "same-cpu-crypt", CRYPT_ACTIVATE_SAME_CPU_CRYPT },
	{ FLAG_HIGH_PRIORITY, "high_priority", "high-priority", 0 },
	{ FLAG_SUBMIT, "submit_from_crypt_cpus", "submit-from-crypt-cpus",
	  CRYPT_ACTIVATE_SUBMIT_FROM_CRYPT_CPUS },
	{ FLAG_NO_READ_QUEUE, "no_read_workqueue", "no-read-workqueue",
	  CRYPT_ACTIVATE_NO_READ_WORKQUEUE },
	{ FLAG_NO_WRITE_QUEUE, "no_write_workqueue", "no-write-workqueue",
	  CRYPT_ACTIVATE_NO_WRITE_WORKQUEUE },
	{ FLAG_IV_LARGE, "iv_large_sectors", NULL, 0 },
	{ FLAG_NO_JOURNAL, NULL, "no-journal", CRYPT_ACTIVATE_NO_JOURNAL },
};

/**
 * line_parse() - take a table line apart
 * @line: gets the words; line_free() has to follow
 * @params: the line, without start, length and target
 */
int line_parse(struct line *line, const char *params)
{
	const char **words[] = { &line->cipher, &line->key, &line->iv_offset, &line->device,
				 &line->offset };
	char *at;
	size_t i;
	int ret;

	*line = (struct line){ .options = "" };
	ret = secret_alloc(&line->text, strlen(params));
	if (ret)
		return ret;
	strcpy(line->text.data, params);
	at = line->text.data;
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		if (!at || !*at) {
			line_free(line);
			return say_error(-EINVAL, "the table is not one of dm-crypt's");
		}
		*words[i] = at;
		at = strchr(at, ' ');
		if (at)
			*at++ = '\0';
	}
	if (at)
		line->options = at;
	return 0;
}

/**
 * line_free() - wipe a line
 * @line: the line; may have been freed, or never parsed
 */
void line_free(struct line *line)
{
	secret_free(&line->text);
	*line = (struct line){ .options = "" };
}

/*
 * The kernel takes the line apart at blanks, and does not look at what comes after the options: a
 * blank in a word, which a header may bring along, would put other words in the key's place and the
 * device's.
 */
static int check_word(const char *what, const char *word)
{
	const char *at;

	for (at = word; *at; at++)
		if (*at <= ' ' || *at > '~' || *at == '\\')
			return say_error(-EINVAL, "the %s has a character that no table line may "
					 "have", what);
	return *word ? 0 : say_error(-EINVAL, "the %s is empty", what);
}

static int check_words(const struct line *line, const char *key)
{
	int ret = check_word("cipher", line->cipher);

	if (!ret)
		ret = check_word("key, or its name,", key);
	if (!ret)
		ret = check_word("IV offset", line->iv_offset);
	if (!ret)
		ret = check_word("device's name", line->device);
	return ret ? ret : check_word("offset", line->offset);
}

/**
 * line_print() - put a table line together
 * @to: gets it; secret_free() has to follow
 * @line: the line
 * @key: what is to stand for the key
 */
int line_print(struct secret *to, const struct line *line, const char *key)
{
	size_t room = strlen(line->cipher) + strlen(key) + strlen(line->iv_offset) +
		      strlen(line->device) + strlen(line->offset) + strlen(line->options) + 8;
	int ret;

	ret = check_words(line, key);
	if (!ret)
		ret = secret_alloc(to, room);
	if (ret)
		return ret;
	return secret_print(to, "%s %s %s %s %s%s%s", line->cipher, key, line->iv_offset,
			    line->device, line->offset, *line->options ? " " : "", line->options);
}

/**
 * line_option() - find an option of a line
 * @line: the line
 * @prefix: how it begins, like "sector_size:"
 *
 * Return: what follows the prefix, up to a blank or the end; NULL if there is no such option.
 */
const char *line_option(const struct line *line, const char *prefix)
{
	const char *at = line->options;

	while ((at = strchr(at, ' '))) {
		at++;
		if (!strncmp(at, prefix, strlen(prefix)))
			return at + strlen(prefix);
	}
	return NULL;
}

/**
 * line_key_hidden() - is the key printed as "-"?
 * @line: the line; a cipher without a key has that too
 */
bool line_key_hidden(const struct line *line)
{
	return !strcmp(line->key, "-");
}

/**
 * line_key_named() - is it a key of the kernel's keyring, whose bytes the line does not have?
 * @line: the line
 */
bool line_key_named(const struct line *line)
{
	return *line->key == ':';
}

/**
 * line_key_size() - how long is the key?
 * @line: the line
 *
 * Return: bytes; 0 if the line does not tell.
 */
unsigned int line_key_size(const struct line *line)
{
	if (line_key_hidden(line))
		return 0;
	return line_key_named(line) ? strtoul(line->key + 1, NULL, 10) : strlen(line->key) / 2;
}

/**
 * flags_print() - write the options of a table line
 * @to: gets them, with their number in front; "" if there are none
 * @room: bytes of @to
 * @flags: FLAG_*
 * @sector_size: bytes of an encryption sector
 * @integrity: as "28:aead", NULL without
 * @integrity_key_size: bytes, 0 for as many as usual
 */
int flags_print(char *to, size_t room, unsigned int flags, unsigned int sector_size,
		const char *integrity, unsigned int integrity_key_size)
{
	char words[300] = "";
	int count = 0;
	size_t i, length = 0;

	for (i = 0; i < ARRAY_SIZE(flags_known); i++) {
		if (!(flags & flags_known[i].flag) || !flags_known[i].word)
			continue;
		length += snprintf(words + length, sizeof(words) - length, " %s",
				   flags_known[i].word);
		count++;
	}
	if (integrity) {
		length += snprintf(words + length, sizeof(words) - length, " integrity:%s",
				   integrity);
		count++;
	}
	if (integrity_key_size) {
		length += snprintf(words + length, sizeof(words) - length,
				   " integrity_key_size:%u", integrity_key_size);
		count++;
	}
	if (sector_size != SECTOR) {
		snprintf(words + length, sizeof(words) - length, " sector_size:%u", sector_size);
		count++;
	}
	if (!count)
		*to = '\0';
	else if ((size_t)snprintf(to, room, "%d%s", count, words) >= room)
		return say_error(-EINVAL, "a table line is too long");
	return 0;
}

/**
 * flags_of_options() - the flags that the command line asks for
 * @options: the command line
 *
 * Return: FLAG_*.
 */
unsigned int flags_of_options(const struct options *options)
{
	return (options->allow_discards ? FLAG_DISCARDS : 0) |
	       (options->same_cpu_crypt ? FLAG_SAME_CPU : 0) |
	       (options->high_priority ? FLAG_HIGH_PRIORITY : 0) |
	       (options->submit_from_crypt_cpus ? FLAG_SUBMIT : 0) |
	       (options->no_read_workqueue ? FLAG_NO_READ_QUEUE : 0) |
	       (options->no_write_workqueue ? FLAG_NO_WRITE_QUEUE : 0) |
	       (options->iv_large_sectors ? FLAG_IV_LARGE : 0) |
	       (options->no_journal ? FLAG_NO_JOURNAL : 0);
}

/**
 * flags_of_header() - the flag that a LUKS2 header calls so
 * @word: its name there
 *
 * Return: FLAG_*; 0 for one that is not known, which is no harm: all of them are wishes.
 */
unsigned int flags_of_header(const char *word)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags_known); i++)
		if (flags_known[i].header && !strcmp(word, flags_known[i].header))
			return flags_known[i].flag;
	return 0;
}

/**
 * flags_check() - can a LUKS2 header keep these flags?
 * @flags: FLAG_*
 */
int flags_check(unsigned int flags)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags_known); i++)
		if ((flags & flags_known[i].flag) && !flags_known[i].crypt)
			return say_error(-EINVAL, "--persistent: this libcryptsetup cannot keep %s "
					 "in the header", flags_known[i].word);
	return 0;
}

/**
 * flags_store() - keep flags in a LUKS2 header
 * @cd: the volume
 * @flags: FLAG_*, which replace those in the header; flags_check() has passed them
 */
int flags_store(struct crypt_device *cd, unsigned int flags)
{
	uint32_t stored = 0;
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(flags_known); i++)
		if (flags & flags_known[i].flag)
			stored |= flags_known[i].crypt;
	ret = crypt_persistent_flags_set(cd, CRYPT_FLAGS_ACTIVATION, stored);
	return ret ? say_error(ret, "the flags could not be kept in the header") : 0;
}
