// SPDX-License-Identifier: GPL-2.0-only
/* crypt-bulk doctor: is there a module for this kernel, and will the kernel take it? */
#define _GNU_SOURCE
#include <fcntl.h>
#include <glob.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"

#define EFI_GLOBAL	"8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define DKMS_CERT	"/var/lib/dkms/mok.pub"
#define FILE_MOST	(4 << 20)

/**
 * doctor_kernel() - is the kernel one that the module is made for?
 * @doctor: the examination
 */
void doctor_kernel(struct doctor *doctor)
{
	regex_t known;
	bool match;

	if (regcomp(&known, CRYPT_BULK_KERNELS, REG_EXTENDED | REG_NOSUB))
		return;
	match = !regexec(&known, doctor->release, 0, NULL, 0);
	regfree(&known);
	if (!match)
		doctor_problem(doctor, "the kernel is not one that the module is made for",
			       "boot a kernel from Linux 6.1 to 7.3; this is %s", doctor->release);
}

/* A whole file, whatever is in it; to be freed; NULL if it cannot be read. */
static char *read_file(size_t *size, const char *root, const char *path)
{
	char *whole = malloc(FILE_MOST), name[PATH_ROOM];
	ssize_t got = 0;
	int file;

	*size = 0;
	snprintf(name, sizeof(name), "%s%s", root, path);
	file = open(name, O_RDONLY | O_CLOEXEC);
	while (whole && file >= 0 && *size < FILE_MOST) {
		got = read(file, whole + *size, FILE_MOST - *size);
		if (got <= 0)
			break;
		*size += got;
	}
	if (file >= 0)
		close(file);
	if (file < 0 || got < 0) {
		free(whole);
		return NULL;
	}
	return whole;
}

static bool has_module(const struct doctor *doctor)
{
	char path[PATH_ROOM];
	size_t size;
	char *names;
	bool found;

	snprintf(path, sizeof(path), "/lib/modules/%s/modules.dep", doctor->release);
	names = read_file(&size, doctor->root, path);
	found = names && memmem(names, size, "/dm-crypt-bulk.ko", strlen("/dm-crypt-bulk.ko"));
	free(names);
	return found;
}

static bool has_headers(const struct doctor *doctor)
{
	return file_exists("%s/lib/modules/%s/build/Makefile", doctor->root, doctor->release) ||
	       file_exists("%s/usr/src/linux-headers-%s/Makefile", doctor->root, doctor->release);
}

static bool has_source(const struct doctor *doctor)
{
	char pattern[PATH_ROOM];
	glob_t found;
	bool any;

	snprintf(pattern, sizeof(pattern), "%s/usr/src/dm-crypt-bulk-*/dkms.conf", doctor->root);
	any = !glob(pattern, 0, NULL, &found);
	globfree(&found);
	return any;
}

/**
 * doctor_module() - is the module there for the kernel, and if not, why?
 * @doctor: the examination
 */
void doctor_module(struct doctor *doctor)
{
	char version[32];

	if (doctor_module_loaded(doctor, MODULE_BULK)) {
		if (file_read(version, sizeof(version), "%s/sys/module/" MODULE_BULK "/version",
			      doctor->root) > 0 && strcmp(version, CRYPT_BULK_VERSION))
			doctor_note("the module that is loaded is of another version than this "
				    "program", "close or convert its mappings, then: "
				    "modprobe -r dm-crypt-bulk; modprobe dm-crypt-bulk");
		return;
	}
	if (has_module(doctor))
		return;
	if (!file_exists("%s/usr/sbin/dkms", doctor->root))
		doctor_problem(doctor, "DKMS, which builds the module, is not installed",
			       "apt install dkms");
	if (!has_source(doctor))
		doctor_problem(doctor, "the module's source is not installed",
			       "apt install ./dist/dm-crypt-bulk-dkms_*.deb after make deb in the "
			       "tree, or make dkms-install there");
	if (!has_headers(doctor))
		doctor_problem(doctor, "the headers of the kernel are not installed",
			       "apt install linux-headers-%s", doctor->release);
	else if (has_source(doctor))
		doctor_problem(doctor, "the module has not been built for the kernel",
			       "dkms install dm-crypt-bulk/%s -k %s; if that fails, its log is "
			       "/var/lib/dkms/dm-crypt-bulk/%s/build/make.log", CRYPT_BULK_VERSION,
			       doctor->release, CRYPT_BULK_VERSION);
}

static bool secure_boot_on(const struct doctor *doctor)
{
	char *variable;
	size_t size;
	bool on;

	variable = read_file(&size, doctor->root,
			     "/sys/firmware/efi/efivars/SecureBoot-" EFI_GLOBAL);
	/* Four bytes of attributes come before the value. */
	on = variable && size == 5 && variable[4] == 1;
	free(variable);
	return on;
}

/* The firmware's list holds certificates as they are in the file. */
static bool is_enrolled(const struct doctor *doctor, const char *cert, size_t size)
{
	size_t list_size;
	char *list;
	bool found;

	list = read_file(&list_size, doctor->root, "/sys/firmware/efi/mok-variables/MokListRT");
	found = list && size && memmem(list, list_size, cert, size);
	free(list);
	return found;
}

/**
 * doctor_secure_boot() - does the firmware know the key that DKMS signs the module with?
 * @doctor: the examination
 */
void doctor_secure_boot(struct doctor *doctor)
{
	size_t size;
	char *cert;

	if (!secure_boot_on(doctor) || doctor_module_loaded(doctor, MODULE_BULK))
		return;
	cert = read_file(&size, doctor->root, DKMS_CERT);
	if (!cert)
		doctor_problem(doctor, "Secure Boot is on, and DKMS has no key to sign the module",
			       "dkms generate_mok, then mokutil --import " DKMS_CERT
			       ", reboot and confirm; then dkms install --force dm-crypt-bulk/%s",
			       CRYPT_BULK_VERSION);
	else if (!is_enrolled(doctor, cert, size))
		doctor_problem(doctor, "Secure Boot is on, and does not know the key that DKMS "
			       "signs modules with", "mokutil --import " DKMS_CERT
			       ", then reboot and confirm on the blue screen");
	free(cert);
}
