// SPDX-License-Identifier: GPL-2.0-only
/*
 * What libFuzzer runs: a text of lines, each a thing that is done to a mapping, through the
 * target's own functions. The sanitizers look for memory that is touched where it must not be;
 * here is checked what must hold after each line.
 *
 *	table PARAMETERS	construct, in the place of the mapping that there is
 *	message WORDS
 *	suspend, resume, remove
 *	status BYTES		print what there is into so many bytes
 *	iv SECTOR		generate the IV of a sector, and what comes with it
 *	len SECTORS		the size of the mappings to come
 *	fail N			the Nth allocation in the next line fails
 *	race			a resume comes in the next line, a message, before its first lock
 *
 * Any other line is a table when there is no mapping, and a message when there is one.
 */
#include "crypt-bulk.h"

#define MAX_WORDS 24
#define MAX_LINE 8192
#define RESULT_SIZE 700
#define PRINTED_SIZE (64 << 10)

static struct dm_target mapping;
static bool live, suspended, races;
static sector_t length;

struct words {
	unsigned int count;
	char *at[MAX_WORDS];
};

/* Each word in memory of its own, so that whoever reads past its end is found. */
static void split(struct words *words, const char *text)
{
	words->count = 0;
	while (words->count < MAX_WORDS) {
		char *word, *to;

		text += strspn(text, " ");
		if (!*text)
			return;
		word = calloc(1, strlen(text) + 1);
		FUZZ_CHECK(word, "out of memory");
		/* A backslash takes its meaning from what follows it. */
		for (to = word; *text && *text != ' '; text++) {
			if (*text == '\\' && text[1])
				text++;
			*to++ = *text;
		}
		words->at[words->count++] = strdup(word);
		free(word);
	}
}

static void free_words(struct words *words)
{
	while (words->count)
		free(words->at[--words->count]);
}

static bool is_wiped(const char *word, size_t size)
{
	while (size--)
		if (*word++)
			return false;
	return true;
}

/* From here on, no memory with this key in it may be given back. */
static void watch_key(const char *digits)
{
	fuzz.secret_size = 0;
	if (strlen(digits) < 2 * sizeof(fuzz.secret) ||
	    hex2bin(fuzz.secret, digits, sizeof(fuzz.secret)))
		return;
	/* What repeats is also found where it is not. */
	if (memcmp(fuzz.secret, fuzz.secret + 1, 15) &&
	    memcmp(fuzz.secret, fuzz.secret + 2, 14))
		fuzz.secret_size = sizeof(fuzz.secret);
}

static void nothing_held(unsigned int before)
{
	FUZZ_CHECK(fuzz.objects == before, "memory, a reference or a lock stays behind");
	FUZZ_CHECK(!fuzz.noio, "memalloc_noio_save() without an end");
}

static int construct(struct dm_target *ti, const char *text)
{
	unsigned int before = fuzz.objects;
	size_t key_size = 0;
	struct words words;
	int ret;

	split(&words, text);
	if (words.count > 1) {
		key_size = strlen(words.at[1]);
		watch_key(words.at[1]);
	}
	*ti = (struct dm_target){ .type = fuzz_target, .len = length };
	ret = fuzz_target->ctr(ti, words.count, words.at);
	fuzz.fail = 0;
	FUZZ_CHECK(ret <= 0, "a constructor does not return more than 0");
	FUZZ_CHECK(words.count < 2 || is_wiped(words.at[1], key_size), "the key stays in the line");
	free_words(&words);
	if (ret) {
		FUZZ_CHECK(ti->error && *ti->error, "a refusal without a reason");
		nothing_held(before);
	}
	return ret;
}

static void destroy(struct dm_target *ti, unsigned int before)
{
	fuzz_target->dtr(ti);
	nothing_held(before);
}

static char *print(struct dm_target *ti, status_type_t type, size_t size)
{
	char *text = malloc(size);

	FUZZ_CHECK(text, "out of memory");
	fuzz_target->status(ti, type, 0, text, size);
	FUZZ_CHECK(strnlen(text, size) < size, "what is printed has no end");
	return text;
}

static bool twice(const char *text, const char *word)
{
	const char *first = strstr(text, word);

	return first && strstr(first + 1, word);
}

/* What is printed is taken again, and printed the same. */
static void check_round_trip(const char *text)
{
	char *printed, *again;
	struct dm_target copy;
	unsigned int before;

	/* A blank in a word is not printed as it has to be given; and see parse_integrity(). */
	if (strchr(text, '\\') || twice(text, "integrity:"))
		return;
	printed = print(&mapping, STATUSTYPE_TABLE, PRINTED_SIZE);
	before = fuzz.objects;
	FUZZ_CHECK(!construct(&copy, printed), "the printed line is refused");
	again = print(&copy, STATUSTYPE_TABLE, PRINTED_SIZE);
	FUZZ_CHECK(!strcmp(printed, again), "the printed line is another when it is given again");
	destroy(&copy, before);
	free(again);
	free(printed);
}

static void remove_mapping(void)
{
	if (live)
		destroy(&mapping, 0);
	live = false;
}

static void table(const char *text)
{
	/* The mapping that there is stays until the other one is ready: here there is but one. */
	remove_mapping();
	if (construct(&mapping, text))
		return;
	live = true;
	suspended = false;
	check_round_trip(text);
	FUZZ_CHECK(!fuzz_target->preresume(&mapping), "a new mapping cannot be used");
	fuzz_target->resume(&mapping);
}

static const struct cbulk_cipher *cipher(void)
{
	const struct cbulk_target *ct = mapping.private;

	return &ct->cipher;
}

static bool key_valid(void)
{
	return cipher()->key_valid;
}

static void resume(void)
{
	int ret = fuzz_target->preresume(&mapping);

	FUZZ_CHECK(!ret == key_valid(), "resumed without a key, or not with one");
	if (ret)
		return;
	fuzz_target->resume(&mapping);
	suspended = false;
}

static void message(const char *text)
{
	bool before = key_valid(), failing = fuzz.fail;
	u8 *key = calloc(1, cipher()->key_size + 1);
	size_t size[MAX_WORDS];
	struct words words;
	char *result;
	int ret;

	FUZZ_CHECK(key, "out of memory");
	memcpy(key, cipher()->key, cipher()->key_size);
	split(&words, text);
	for (unsigned int i = 0; i < words.count; i++)
		size[i] = strlen(words.at[i]);
	if (words.count > 2)
		watch_key(words.at[2]);
	result = calloc(1, RESULT_SIZE);
	fuzz.noio_only = true;
	fuzz.meanwhile = races ? resume : NULL;
	ret = fuzz_target->message(&mapping, words.count, words.at, result, RESULT_SIZE);
	fuzz.meanwhile = NULL;
	fuzz.noio_only = false;
	fuzz.fail = 0;

	FUZZ_CHECK(ret <= 1, "more than 1 is returned");
	FUZZ_CHECK(!fuzz.noio, "memalloc_noio_save() without an end");
	for (unsigned int i = 0; ret != 1 && i < words.count; i++)
		FUZZ_CHECK(is_wiped(words.at[i], size[i]), "a word stays");
	FUZZ_CHECK(suspended || (key_valid() == before &&
				 !memcmp(key, cipher()->key, cipher()->key_size)),
		   "the key of a mapping in use changes");
	if (!ret && !strcasecmp(words.count > 1 ? text + strspn(text, " ") : "", "key wipe"))
		FUZZ_CHECK(!key_valid(), "a wiped key is there");
	FUZZ_CHECK(failing || ret != -ENOMEM, "no memory, for no reason");
	free(result);
	free(key);
	free_words(&words);
}

/* The functions of an IV mode, with memory of exactly the size that they may use. */
static void generate(u64 sector)
{
	const struct cbulk_iv_ops *ops = cipher()->iv_ops;
	u8 *iv, *data;

	if (!ops || !key_valid())
		return;
	iv = malloc(cipher()->iv_size);
	data = malloc(cipher()->unit_size);
	FUZZ_CHECK(iv && data, "out of memory");
	memset(data, 1, cipher()->unit_size);
	for (int encrypt = 0; encrypt < 2; encrypt++) {
		FUZZ_CHECK(!ops->generate(cipher(), iv, sector), "no IV");
		if (ops->before)
			ops->before(cipher(), iv, sector, data, encrypt);
		if (ops->after)
			ops->after(cipher(), sector, data, encrypt);
	}
	free(data);
	free(iv);
}

static void status(u64 size)
{
	size = size % PRINTED_SIZE + 1;
	free(print(&mapping, STATUSTYPE_TABLE, size));
	free(print(&mapping, STATUSTYPE_IMA, size));
	free(print(&mapping, STATUSTYPE_INFO, size));
}

static void suspend(void)
{
	fuzz_target->postsuspend(&mapping);
	suspended = true;
}

static void run_live(const char *line)
{
	size_t prints = str_has_prefix(line, "status ");
	size_t generates = str_has_prefix(line, "iv ");

	if (!strcmp(line, "suspend"))
		suspend();
	else if (!strcmp(line, "resume"))
		resume();
	else if (!strcmp(line, "remove"))
		remove_mapping();
	else if (prints)
		status(strtoull(line + prints, NULL, 10));
	else if (generates)
		generate(strtoull(line + generates, NULL, 10));
	else
		message(line + str_has_prefix(line, "message "));
}

static void run(const char *line)
{
	size_t fails = str_has_prefix(line, "fail ");
	size_t sizes = str_has_prefix(line, "len ");
	size_t tables = str_has_prefix(line, "table ");

	if (fails) {
		fuzz.fail = strtoul(line + fails, NULL, 10);
		return;
	}
	if (!strcmp(line, "race")) {
		races = true;
		return;
	}
	if (sizes)
		length = strtoull(line + sizes, NULL, 10);
	else if (tables || !live)
		table(line + tables);
	else
		run_live(line);
	fuzz.fail = 0;
	races = false;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	FUZZ_CHECK(!fuzz_module_init(), "the module does not load");
	/* So that what is printed can be taken again. */
	*fuzz_param_hide_keys = false;
	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	char line[MAX_LINE];

	/* Whatever the end of the last input asked for. */
	fuzz.fail = 0;
	races = false;
	length = 2048;
	while (size) {
		const u8 *end = memchr(data, '\n', size);
		size_t taken = end ? end - data : size;

		/* A line ends at its first zero, as any text in the kernel does. */
		snprintf(line, sizeof(line), "%.*s", (int)min_t(size_t, taken, MAX_LINE - 1),
			 (const char *)data);
		run(line);
		taken += end ? 1 : 0;
		data += taken;
		size -= taken;
	}
	remove_mapping();
	return 0;
}
