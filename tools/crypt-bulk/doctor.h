/* SPDX-License-Identifier: GPL-2.0-only */
/* What crypt-bulk doctor looks at, and how it says what it found. */
#ifndef TOOLS_CRYPT_BULK_DOCTOR_H
#define TOOLS_CRYPT_BULK_DOCTOR_H

#include "crypt-bulk.h"

/**
 * struct doctor - an examination
 * @root: "" or the directory that stands for /
 * @release: the kernel that runs
 * @problems: found so far
 */
struct doctor {
	const char *root;
	char release[128];
	int problems;
};

void doctor_problem(struct doctor *doctor, const char *what, const char *fix, ...)
	PRINTF_LIKE(3, 4);
void doctor_note(const char *what, const char *fix, ...) PRINTF_LIKE(2, 3);
bool doctor_module_loaded(const struct doctor *doctor, const char *module);

/* doctor-module.c */
void doctor_kernel(struct doctor *doctor);
void doctor_module(struct doctor *doctor);
void doctor_secure_boot(struct doctor *doctor);

#endif /* TOOLS_CRYPT_BULK_DOCTOR_H */
