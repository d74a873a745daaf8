// SPDX-License-Identifier: GPL-2.0-only
/*
 * crypt-bulk convert: the other target for a mapping in use.
 *
 * The key is found (convert-key.c), the old and the new table are proven on private mappings, and
 * only then is the new one loaded and resumed. From the load on, no failure leaves the mapping
 * anything but as it was before.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "crypt-bulk.h"
#include "convert.h"

/**
 * struct conversion - a conversion under way
 * @live: the mapping
 * @line: its table
 * @to: the target to be
 * @old: the table that it has, with a key that can be loaded again
 * @new: the table that it gets
 * @old_probe, @new_probe: private mappings with these
 */
struct conversion {
	struct map live;
	struct line line;
	const char *to;
	struct secret old, new;
	struct probe old_probe, new_probe;
};

static void conversion_free(struct conversion *conversion)
{
	probe_close(&conversion->old_probe);
	probe_close(&conversion->new_probe);
	secret_free(&conversion->old);
	secret_free(&conversion->new);
	line_free(&conversion->line);
	map_free(&conversion->live);
}

static int look(struct conversion *conversion, const struct options *options)
{
	struct map *live = &conversion->live;
	const char *name = options->args[0];
	int ret;

	conversion->to = options->to ? options->to : TARGET_BULK;
	if (strcmp(conversion->to, TARGET_BULK) && strcmp(conversion->to, TARGET_STOCK))
		return say_error(-EINVAL, "--to: %s or %s", TARGET_BULK, TARGET_STOCK);
	probes_remove_stale();
	ret = map_get(live, name);
	if (ret)
		return ret;
	if (live->targets > 1)
		return say_error(-EINVAL, "%s has %u segments, as while it is being reencrypted: "
				 "only one can be converted", name, live->targets);
	if (!map_is_crypt(live))
		return say_error(-EINVAL, "%s is no mapping of the target crypt or crypt-bulk",
				 name);
	if (live->suspended)
		return say_error(-EINVAL, "%s is suspended: resume it first, with cryptsetup "
				 "luksResume or dmsetup resume", name);
	ret = target_require(conversion->to);
	return ret ? ret : line_parse(&conversion->line, live->params.data);
}

/* The table with the key as suits a target. */
static int print_table(struct secret *to, const struct conversion *conversion,
		       const struct key *key, const char *target)
{
	struct secret word = { 0 };
	int ret;

	if (!key->size)
		return line_print(to, &conversion->line, "-");
	if (convert_key_is_named(key, &conversion->live, target))
		ret = key_print_named(&word, key);
	else
		ret = key_print_inline(&word, key);
	if (!ret)
		ret = line_print(to, &conversion->line, word.data);
	secret_free(&word);
	return ret;
}

static int print_tables(struct conversion *conversion, const struct options *options)
{
	struct key key = { .size = 0 };
	int ret;

	ret = convert_find_key(&key, &conversion->live, &conversion->line, options);
	if (!ret)
		ret = print_table(&conversion->old, conversion, &key, conversion->live.target);
	if (!ret)
		ret = print_table(&conversion->new, conversion, &key, conversion->to);
	key_free(&key);
	return ret;
}

static int prove_one(struct probe *probe, const struct conversion *conversion, const char *target,
		     const struct secret *params)
{
	int ret;

	ret = probe_open(probe, &conversion->live, target, params->data);
	return ret ? ret : probe_compare(probe, &conversion->live);
}

/* A passphrase takes its time, in which the mapping may be resized, suspended or converted. */
static int check_unchanged(const struct conversion *conversion)
{
	const struct map *then = &conversion->live;
	struct map now;
	bool same;
	int ret;

	ret = map_get(&now, then->name);
	if (ret)
		return ret;
	same = !strcmp(now.uuid, then->uuid) && now.major == then->major &&
	       now.minor == then->minor && now.targets == then->targets &&
	       !strcmp(now.target, then->target) && now.sectors == then->sectors &&
	       now.read_only == then->read_only && now.suspended == then->suspended &&
	       !strcmp(now.params.data, then->params.data);
	map_free(&now);
	return same ? 0 : say_error(-EBUSY, "%s was changed by someone else meanwhile: nothing was "
				    "done to it, try again", then->name);
}

/* The old table proves the key, the new one the target. */
static int prove(struct conversion *conversion)
{
	const char *name = conversion->live.name;
	int ret;

	ret = prove_one(&conversion->old_probe, conversion, conversion->live.target,
			&conversion->old);
	if (ret == -EILSEQ)
		return say_error(-EPERM, "this is not the key of %s: nothing was changed", name);
	if (ret == -EIO)
		return say_error(ret, "%s cannot be read, so that nothing can be proven: "
				 "nothing was changed", name);
	if (!ret && signals_wait())
		ret = say_error(-EINTR, "interrupted: nothing was changed");
	if (ret)
		return ret;
	ret = prove_one(&conversion->new_probe, conversion, conversion->to, &conversion->new);
	if (ret == -EILSEQ || ret == -EIO)
		return say_error(ret, "target %s does not decrypt what %s reads: nothing was "
				 "changed. Please report this", conversion->to, name);
	return ret;
}

static int switch_to(const struct conversion *conversion, const char *target,
		     const struct secret *params)
{
	const struct new_map table = {
		.name = conversion->live.name, .target = target, .params = params->data,
		.sectors = conversion->live.sectors, .read_only = conversion->live.read_only,
	};
	int ret;

	ret = map_load(&table);
	return ret ? ret : map_resume(table.name, false);
}

static int check_switched(const struct conversion *conversion)
{
	struct map now;
	int ret;

	ret = map_get_quietly(&now, conversion->live.name);
	if (!ret && (strcmp(now.target, conversion->to) || now.suspended ||
		     now.sectors != conversion->live.sectors))
		ret = -EIO;
	map_free(&now);
	return ret ? ret : probe_compare(&conversion->old_probe, &conversion->live);
}

/*
 * Where the kernel refused the new table, the old one is there still, at most suspended. To make it
 * once more would ask for memory, while what frees memory may be waiting for this mapping.
 */
static int roll_back(const struct conversion *conversion)
{
	const char *name = conversion->live.name;
	struct map now;
	int ret;

	map_clear(name);
	ret = map_get_quietly(&now, name);
	if (!ret && strcmp(now.target, conversion->live.target))
		ret = switch_to(conversion, conversion->live.target, &conversion->old);
	else if (!ret && now.suspended)
		ret = map_resume(name, false);
	map_free(&now);
	return ret;
}

static const char *reason(int error)
{
	return error == -EILSEQ ? "it would read something else" : strerror(-error);
}

/*
 * While the mapping is suspended, nothing that is on it can be read: this program may be, so all of
 * it has to be in memory.
 */
static int convert(const struct conversion *conversion)
{
	const char *name = conversion->live.name;
	int ret, back = 0;

	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		return say_error(-ENOMEM, "memory cannot be locked: %s", strerror(errno));
	ret = check_unchanged(conversion);
	if (ret)
		return ret;
	ret = switch_to(conversion, conversion->to, &conversion->new);
	if (!ret)
		ret = check_switched(conversion);
	if (ret)
		back = roll_back(conversion);
	if (back)
		return say_error(ret, "%s was not converted (%s), and not put back either (%s): "
				 "see dmsetup info %s, and dmesg", name, reason(ret), reason(back),
				 name);
	return ret ? say_error(ret, "%s was not converted: %s; it is as it was before. dmesg may "
			       "have the reason", name, reason(ret)) : 0;
}

/* Signals wait until nothing is left that would have to be taken away, or put back. */
static int prove_and_convert(struct conversion *conversion)
{
	sigset_t before;
	int ret;

	signals_hold(&before);
	/* Of one that is suspended now, a read would not come back. */
	ret = check_unchanged(conversion);
	if (!ret)
		ret = prove(conversion);
	if (!ret && signals_wait())
		ret = say_error(-EINTR, "interrupted: nothing was changed");
	if (!ret)
		ret = convert(conversion);
	probe_close(&conversion->old_probe);
	probe_close(&conversion->new_probe);
	if (!ret)
		say("%s is on target %s now.", conversion->live.name, conversion->to);
	conversion_free(conversion);
	signals_release(&before);
	return ret;
}

/**
 * command_convert() - crypt-bulk convert NAME
 * @options: the command line
 */
int command_convert(const struct options *options)
{
	struct conversion conversion = { 0 };
	int ret;

	ret = look(&conversion, options);
	if (!ret && !strcmp(conversion.live.target, conversion.to)) {
		say("%s is on target %s already.", options->args[0], conversion.to);
	} else if (!ret) {
		ret = print_tables(&conversion, options);
		if (!ret)
			ret = prove_and_convert(&conversion);
	}
	conversion_free(&conversion);
	return ret;
}
