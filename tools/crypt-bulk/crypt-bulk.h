/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * crypt-bulk, the user's program: what its files share, file by file.
 *
 * Functions return 0 or a negative errno, and have said on standard error what went wrong, unless
 * their comment says otherwise.
 */
#ifndef TOOLS_CRYPT_BULK_H
#define TOOLS_CRYPT_BULK_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libcryptsetup.h>

#define TARGET_BULK	"crypt-bulk"
#define TARGET_STOCK	"crypt"
#define MODULE_BULK	"dm_crypt_bulk"
#define MODULE_STOCK	"dm_crypt"

#define SECTOR		512
#define NAME_ROOM	128
#define UUID_ROOM	129
#define PATH_ROOM	4096

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define PRINTF_LIKE(text, first)	__attribute__((format(printf, text, first)))

/* say.c */
int say_error(int error, const char *format, ...) PRINTF_LIKE(2, 3);
void say(const char *format, ...) PRINTF_LIKE(1, 2);
int exit_status(int error);

/* signals.c */
void signals_hold(sigset_t *before);
bool signals_wait(void);
void signals_release(const sigset_t *before);

/* options.c */
struct options {
	const char *type, *key_file, *header, *cipher, *hash, *to, *volume_key_file, *sysroot;
	/* -1 where not given */
	int64_t key_size, keyfile_offset, keyfile_size, offset, skip, size, sector_size, tries;
	int64_t key_slot, token_id, timeout;
	bool allow_discards, same_cpu_crypt, submit_from_crypt_cpus, no_read_workqueue;
	bool no_write_workqueue, high_priority, no_journal, persistent, iv_large_sectors;
	bool read_only, shared, test_passphrase, token_only, json, deferred;
	bool batch_mode, verbose, debug, help, version;
	/* What is left on the command line: DEVICE, NAME */
	const char *args[2];
	int args_count;
};

struct command {
	const char *name;
	const char *arguments;	/* as its usage shows them */
	const char *purpose;
	int least, most;	/* arguments */
	unsigned int bit;	/* of the options that are for it */
	int (*run)(const struct options *options);
};

#define COMMAND_OPEN	(1U << 0)
#define COMMAND_CLOSE	(1U << 1)
#define COMMAND_CONVERT	(1U << 2)
#define COMMAND_STATUS	(1U << 3)
#define COMMAND_TABLE	(1U << 4)
#define COMMAND_DOCTOR	(1U << 5)

int options_parse(struct options *options, const struct command *command, int argc, char **argv);
void options_print(const struct command *command);

/* secret.c */

/**
 * struct secret - bytes in memory that is never swapped nor dumped, and wiped when let go of
 * @data: the bytes; one more, a zero, follows them
 * @size: how many
 * @room: how many there may be
 */
struct secret {
	char *data;
	size_t size;
	size_t room;
};

int secret_alloc(struct secret *secret, size_t room);
int secret_grow(struct secret *secret, size_t room);
void secret_free(struct secret *secret);
int secret_print(struct secret *secret, const char *format, ...) PRINTF_LIKE(2, 3);
int secret_append_hex(struct secret *secret, const struct secret *bytes);
int secret_from_hex(struct secret *secret, const char *digits);
void secrets_protect(void);

/* passphrase.c */
int passphrase_read(struct secret *secret, const struct options *options, const char *what);
int key_file_read(struct secret *secret, const char *path, int64_t offset, int64_t size);
int passphrase_tries(const struct options *options);

/* line.c: dm-crypt's table line */
enum {
	FLAG_DISCARDS = 1 << 0,
	FLAG_SAME_CPU = 1 << 1,
	FLAG_HIGH_PRIORITY = 1 << 2,
	FLAG_SUBMIT = 1 << 3,
	FLAG_NO_READ_QUEUE = 1 << 4,
	FLAG_NO_WRITE_QUEUE = 1 << 5,
	FLAG_IV_LARGE = 1 << 6,
	FLAG_NO_JOURNAL = 1 << 7,	/* for the integrity device below, not in the line */
};

/**
 * struct line - a table line taken apart
 * @text: its words, separated by zeroes; the key may be among them
 * @device: the device below, as the kernel prints it: MAJOR:MINOR
 * @options: what follows <offset>, with the number of options in front; "" without any
 */
struct line {
	struct secret text;
	const char *cipher;
	const char *key;
	const char *iv_offset;
	const char *device;
	const char *offset;
	const char *options;
};

int line_parse(struct line *line, const char *params);
void line_free(struct line *line);
int line_print(struct secret *to, const struct line *line, const char *key);
const char *line_option(const struct line *line, const char *prefix);
bool line_key_hidden(const struct line *line);
bool line_key_named(const struct line *line);
unsigned int line_key_size(const struct line *line);
int flags_print(char *to, size_t room, unsigned int flags, unsigned int sector_size,
		const char *integrity, unsigned int integrity_key_size);
unsigned int flags_of_options(const struct options *options);
unsigned int flags_of_header(const char *word);
int flags_check(unsigned int flags);
int flags_store(struct crypt_device *cd, unsigned int flags);

/* map.c: device-mapper, by libdevmapper */

/**
 * struct map - a mapping as it is
 * @targets: segments of its table; what follows them is of the first
 * @params: the table's line, which may hold a key
 */
struct map {
	char name[NAME_ROOM];
	char uuid[UUID_ROOM];
	unsigned int major, minor;
	int open_count;
	bool read_only, suspended;
	unsigned int targets;
	char target[32];
	uint64_t sectors;
	struct secret params;
};

/**
 * struct new_map - a mapping to be made, or a table to be loaded
 * @private: nobody else is to look at the device: udev's rules are told to leave it alone
 */
struct new_map {
	const char *name, *uuid, *target, *params;
	uint64_t sectors;
	bool read_only, private;
};

int map_get(struct map *map, const char *name);
int map_name_check(const char *name);
int map_get_quietly(struct map *map, const char *name);
void map_free(struct map *map);
bool map_exists(const char *name);
bool map_is_crypt(const struct map *map);
bool map_is_half_made(const struct map *map);
int map_create(const struct new_map *map);
int map_load(const struct new_map *map);
int map_resume(const char *name, bool private);
int map_clear(const char *name);
int map_remove(const char *name, bool deferred, bool private);
int map_message(const char *name, const char *message, char *answer, size_t room);
int map_list(int (*each)(const char *name, void *context), void *context);
int map_name_of(unsigned int major, unsigned int minor, char *name);
int target_version(const char *target, uint32_t version[3]);
int target_require(const char *target);

/* keyring.c; these say nothing */
int keyring_add(const char *description, const struct secret *key);
bool keyring_has(const char *type, const char *description);

/* key.c: a volume key, its bytes or its name in the keyring */

/**
 * struct key - a volume key
 * @raw: its bytes; none where only the kernel's keyring has them
 * @size: how many bytes
 * @name: "<type>:<description>" in the keyring, where it may still have to be put
 */
struct key {
	struct secret raw;
	unsigned int size;
	char name[256];
};

void key_free(struct key *key);
int key_print_named(struct secret *to, const struct key *key);
int key_print_inline(struct secret *to, const struct key *key);

/* volume.c: a volume as its header, or the command line, describes it */

/**
 * struct volume - a volume that is not open yet
 * @cipher: in dm-crypt's notation
 * @integrity: the kind of checksum in the header's notation, "" without one
 * @sectors: length, 0 for all that the device has
 * @read_only: so asked for, or the device is
 * @integrity_key_size: bytes of the volume key that are for it, 0 for as many as usual
 * @flags: FLAG_*, those that the header asks for
 * @has_unknown_flags: the header asks for more
 */
struct volume {
	struct crypt_device *cd;
	const char *type;
	const char *device;
	char uuid[64];
	char cipher[160];
	char integrity[64];
	unsigned int tag_size;
	unsigned int integrity_key_size;
	unsigned int sector_size;
	uint64_t device_sectors;
	uint64_t offset, iv_offset, sectors;
	unsigned int flags;
	bool has_unknown_flags, read_only;
	struct key key;
};

int volume_load(struct volume *volume, const char *device, const struct options *options);
int volume_set_cipher(struct volume *volume, const char *cipher);
int volume_unlock(struct volume *volume, const struct options *options);
void volume_free(struct volume *volume);

/* volume-luks2.c */
int luks2_describe(struct volume *volume);
int luks2_load_key(struct volume *volume, int slot, const struct secret *passphrase, bool test);
int luks2_load_token(struct volume *volume, int token, bool test);
int luks2_load_volume_key(struct volume *volume, const struct secret *raw, bool test);

/* volume-plain.c */
int plain_load(struct volume *volume, const struct options *options);
int plain_unlock(struct volume *volume, const struct options *options);

/* integrity.c: the dm-integrity device under an authenticated volume */
int integrity_cipher(const struct volume *volume, char *to, size_t room);
int integrity_open(const struct volume *volume, const char *name, const char *uuid,
		   unsigned int flags, bool read_only, uint64_t *sectors);
int integrity_name(char *to, const char *name);

/* probe.c: does a table decrypt as a live mapping does? */

/**
 * struct probe - a private, read-only mapping with a table in question
 */
struct probe {
	char name[NAME_ROOM];
	unsigned int minor;
	bool made;
};

int probe_open(struct probe *probe, const struct map *live, const char *target, const char *params);
int probe_compare(const struct probe *probe, const struct map *live);
void probe_close(struct probe *probe);
void probes_remove_stale(void);

/* sysfs.c: small files of the system; these say nothing */
int file_read(char *to, size_t room, const char *format, ...) PRINTF_LIKE(3, 4);
bool file_exists(const char *format, ...) PRINTF_LIKE(1, 2);
int device_path(const char *device, char *path, size_t room);
int64_t device_bytes(const char *path, bool *read_only);
int device_name(const char *number, char *path, size_t room);
const char *target_module(const char *target);

/* one file each */
int command_open(const struct options *options);
int command_close(const struct options *options);
int command_convert(const struct options *options);
int command_status(const struct options *options);
int command_table(const struct options *options);
int command_doctor(const struct options *options);

#endif /* TOOLS_CRYPT_BULK_H */
