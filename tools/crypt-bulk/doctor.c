// SPDX-License-Identifier: GPL-2.0-only
/*
 * crypt-bulk doctor: what on this machine stands between the user and a working set-up, each with
 * what to do about it.
 */
#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"

#define PARAMETERS	"/sys/module/" MODULE_BULK "/parameters/"

static void print_finding(const char *kind, const char *what, const char *fix, va_list args)
{
	printf("%s: %s\n  do: ", kind, what);
	vprintf(fix, args);
	putchar('\n');
}

/**
 * doctor_problem() - tell of something that has to change
 * @doctor: the examination
 * @what: what it is
 * @fix: what to do, as printf()
 */
void doctor_problem(struct doctor *doctor, const char *what, const char *fix, ...)
{
	va_list args;

	doctor->problems++;
	va_start(args, fix);
	print_finding("problem", what, fix, args);
	va_end(args);
}

/**
 * doctor_note() - tell of something that may be meant so
 * @what: what it is
 * @fix: what to do, as printf()
 */
void doctor_note(const char *what, const char *fix, ...)
{
	va_list args;

	va_start(args, fix);
	print_finding("note", what, fix, args);
	va_end(args);
}

/**
 * doctor_module_loaded() - is a module loaded?
 * @doctor: the examination
 * @module: its name
 */
bool doctor_module_loaded(const struct doctor *doctor, const char *module)
{
	return file_exists("%s/sys/module/%s", doctor->root, module);
}

/* As the kernel reads a parameter that is on or off. */
static bool is_on(const char *value)
{
	return strchr("1yYtT", *value) ? *value != '\0' :
	       (value[0] | 0x20) == 'o' && (value[1] | 0x20) == 'n';
}

/* Does one line of a file of modprobe's that is no comment say that the module takes the name? */
static bool file_wants_stock_name(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[512];
	bool wants = false;

	while (file && !wants && fgets(line, sizeof(line), file)) {
		const char *word = line + strspn(line, " \t"), *value;

		value = strstr(word, "replace_stock=");
		wants = *word != '#' && value && is_on(value + strlen("replace_stock=")) &&
			(strstr(word, "dm-crypt-bulk") || strstr(word, MODULE_BULK));
	}
	if (file)
		fclose(file);
	return wants;
}

static bool wants_stock_name(const struct doctor *doctor)
{
	char pattern[PATH_ROOM];
	bool wants = false;
	glob_t found;
	size_t i;

	snprintf(pattern, sizeof(pattern), "%s/etc/modprobe.d/*.conf", doctor->root);
	if (!glob(pattern, 0, NULL, &found))
		for (i = 0; i < found.gl_pathc; i++)
			wants |= file_wants_stock_name(found.gl_pathv[i]);
	globfree(&found);
	return wants;
}

static void check_stock_module(struct doctor *doctor)
{
	char users[16];

	if (!doctor_module_loaded(doctor, MODULE_STOCK) || !wants_stock_name(doctor))
		return;
	file_read(users, sizeof(users), "%s/sys/module/" MODULE_STOCK "/refcnt", doctor->root);
	if (atoi(users))
		doctor_problem(doctor, "dm-crypt-bulk is to be the target crypt, but dm-crypt was "
			       "loaded first and is in use", "update-initramfs -u, then reboot; "
			       "or until then: crypt-bulk convert NAME");
	else
		doctor_problem(doctor, "dm-crypt-bulk is to be the target crypt, but dm-crypt was "
			       "loaded first", "modprobe -r dm-crypt dm-crypt-bulk; "
			       "modprobe dm-crypt-bulk replace_stock=1");
}

/* Parameters that are for testing, or that give away what should be kept */
static void check_parameters(struct doctor *doctor)
{
	static const struct {
		const char *name, *bad, *good, *meaning;
	} known[] = {
		{ "hide_keys", "N", "Y", "dmsetup table shows the keys of crypt-bulk mappings" },
		{ "single_page", "Y", "N", "single_page, which is for testing, is on: new mappings "
		  "are slow" },
		{ "recycle", "N", "Y", "recycle is off: writes are slower than they need be" },
	};
	char value[32];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (file_read(value, sizeof(value), "%s" PARAMETERS "%s", doctor->root,
			      known[i].name) > 0 && !strcmp(value, known[i].bad))
			doctor_problem(doctor, known[i].meaning, "echo %s > " PARAMETERS "%s",
				       known[i].good, known[i].name);
	if (file_read(value, sizeof(value), "%s" PARAMETERS "pool_fail", doctor->root) > 0 &&
	    atoi(value))
		doctor_problem(doctor, "pool_fail, which is for testing, makes allocations fail",
			       "echo 0 > " PARAMETERS "pool_fail");
}

static bool file_has(const struct doctor *doctor, const char *path, const char *words)
{
	char name[PATH_ROOM], line[4096];
	bool found = false;
	FILE *file;

	snprintf(name, sizeof(name), "%s%s", doctor->root, path);
	file = fopen(name, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, words);
	if (file)
		fclose(file);
	return found;
}

/* AES without the processor's instructions is several times slower than with them. */
static void check_processor(struct doctor *doctor)
{
	if (file_has(doctor, "/proc/cpuinfo", " aes ") &&
	    !file_has(doctor, "/proc/crypto", "-aesni"))
		doctor_problem(doctor, "the processor has AES instructions that the kernel "
			       "does not use", "modprobe aesni_intel");
}

static int note_stock_mapping(const char *name, void *context)
{
	struct map map;

	(void)context;
	if (!map_get_quietly(&map, name) && map_is_crypt(&map) &&
	    !strcmp(target_module(map.target), MODULE_STOCK)) {
		char what[NAME_ROOM + 64];

		snprintf(what, sizeof(what), "%s is served by the kernel's own dm-crypt", name);
		doctor_note(what, "crypt-bulk convert %s", name);
	}
	map_free(&map);
	return 0;
}

static void check_mappings(struct doctor *doctor)
{
	/* What device-mapper says is of the running system, whatever the files are of. */
	if (*doctor->root)
		return;
	if (geteuid())
		doctor_note("mappings can be looked at by root only", "sudo crypt-bulk doctor");
	else if (map_list(note_stock_mapping, NULL) < 0)
		doctor_problem(doctor, "device-mapper does not answer", "modprobe dm-mod");
}

/**
 * command_doctor() - crypt-bulk doctor
 * @options: the command line
 *
 * Return: 0, or -EINVAL if there is any problem.
 */
int command_doctor(const struct options *options)
{
	struct doctor doctor = { .root = options->sysroot ? options->sysroot : "" };

	if (file_read(doctor.release, sizeof(doctor.release), "%s/proc/sys/kernel/osrelease",
		      doctor.root) <= 0)
		return say_error(-EINVAL, "%s/proc/sys/kernel/osrelease cannot be read",
				 doctor.root);
	doctor_kernel(&doctor);
	doctor_module(&doctor);
	doctor_secure_boot(&doctor);
	check_stock_module(&doctor);
	check_parameters(&doctor);
	check_processor(&doctor);
	check_mappings(&doctor);
	if (!doctor.problems)
		puts("No problems found.");
	return doctor.problems ? -EINVAL : 0;
}
