// SPDX-License-Identifier: GPL-2.0-only
/* Passphrases and keys: from the terminal, from a pipe, from a file. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "crypt-bulk.h"

/* As cryptsetup's own limits */
#define FILE_MOST	(8U << 20)
#define LINE_MOST	512
#define FIRST_ROOM	4000
#define DEFAULT_TRIES	3

static const int deadly_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

static bool is_stdin(const char *path)
{
	return !path || !strcmp(path, "-");
}

/* One byte more, which is asked for alone: what follows a line belongs to whoever reads next. */
static int read_byte(int file, char *byte)
{
	ssize_t got;

	do {
		got = read(file, byte, 1);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* The next read has room for one byte at least, and for a zero behind it. */
static int make_room(struct secret *secret)
{
	return secret->size < secret->room ? 0 : secret_grow(secret, 2 * secret->room);
}

/* Was all read that is to be, of @size bytes or, if that is negative, of whatever there is? */
static int check_size(const struct secret *secret, int64_t size, const char *what)
{
	if (size >= 0 && secret->size < (size_t)size)
		return say_error(-EINVAL, "the %s has fewer than the %lld bytes asked for", what,
				 (long long)size);
	/* What would be cut off may be what makes it the right one. */
	if (size < 0 && secret->size == FILE_MOST)
		return say_error(-EINVAL, "the %s has %u bytes or more: --keyfile-size tells how "
				 "much of it is the key", what, FILE_MOST);
	return 0;
}

/* Up to the end of the line, which is left out, or to @size bytes if it is not negative. */
static int read_line(struct secret *secret, int file, int64_t size)
{
	size_t most = size < 0 ? FILE_MOST : (size_t)size;
	int got = 1;

	while (secret->size < most) {
		int ret = make_room(secret);

		if (ret)
			return ret;
		got = read_byte(file, secret->data + secret->size);
		if (got < 0)
			return say_error(got, "cannot read the passphrase: %s", strerror(-got));
		if (!got || secret->data[secret->size] == '\n')
			break;
		secret->size++;
	}
	if (!got && !secret->size)
		return say_error(-EINVAL, "no passphrase: standard input is empty");
	secret->data[secret->size] = '\0';
	return check_size(secret, size, "passphrase");
}

/* Up to @size bytes, or the end if it is negative. */
static int read_whole(struct secret *secret, int file, int64_t size)
{
	size_t most = size < 0 ? FILE_MOST : (size_t)size;
	int ret;

	while (secret->size < most) {
		size_t left;
		ssize_t got;

		ret = make_room(secret);
		if (ret)
			return ret;
		left = secret->room - secret->size;
		if (left > most - secret->size)
			left = most - secret->size;
		got = read(file, secret->data + secret->size, left);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return say_error(-errno, "cannot read the key file: %s", strerror(errno));
		if (!got)
			break;
		secret->size += got;
	}
	ret = check_size(secret, size, "key file");
	if (ret)
		return ret;
	return secret->size ? 0 : say_error(-EINVAL, "the key file is empty");
}

/* Reading works on a pipe too, where a position cannot be set. */
static int skip_bytes(int file, int64_t count)
{
	char byte = 0;
	int got = 1;

	while (count-- > 0 && got > 0)
		got = read_byte(file, &byte);
	explicit_bzero(&byte, sizeof(byte));
	if (got < 0)
		return say_error(got, "cannot read the key file: %s", strerror(-got));
	return got ? 0 : say_error(-EINVAL, "the key file ends before --keyfile-offset");
}

/**
 * key_file_read() - read a file that is a key or a passphrase, to its last byte
 * @secret: gets it
 * @path: the file, "-" for standard input
 * @offset: bytes to leave out at its start; none if negative
 * @size: bytes to read; all if negative
 */
int key_file_read(struct secret *secret, const char *path, int64_t offset, int64_t size)
{
	int file = STDIN_FILENO;
	int ret;

	if (size > (int64_t)FILE_MOST)
		return say_error(-EINVAL, "a key file has at most %u bytes", FILE_MOST);
	if (!is_stdin(path))
		file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return say_error(-EINVAL, "cannot open the key file %s: %s", path, strerror(errno));
	ret = secret_alloc(secret, FIRST_ROOM);
	if (!ret)
		ret = skip_bytes(file, offset);
	if (!ret)
		ret = read_whole(secret, file, size);
	if (file != STDIN_FILENO)
		close(file);
	if (ret)
		secret_free(secret);
	return ret;
}

static void block_signals(sigset_t *before)
{
	sigset_t deadly;
	size_t i;

	sigemptyset(&deadly);
	for (i = 0; i < ARRAY_SIZE(deadly_signals); i++)
		sigaddset(&deadly, deadly_signals[i]);
	sigprocmask(SIG_BLOCK, &deadly, before);
}

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	interrupted = number;
}

/*
 * A line of a terminal, with its end. Signals come with the mask @signals, and only while it waits:
 * one that came just before would be forgotten. Return: its bytes, 0 where the terminal has none to
 * give any more; or a negative errno, -ETIME where the line was not ended in so many seconds.
 */
static ssize_t read_in_time(struct secret *secret, int terminal, int64_t seconds,
			    const sigset_t *signals)
{
	struct pollfd typed = { .fd = terminal, .events = POLLIN };
	struct timespec limit = { .tv_sec = seconds };
	ssize_t got;

	got = ppoll(&typed, 1, seconds > 0 ? &limit : NULL, signals);
	if (got < 1)
		return got ? -errno : -ETIME;
	/* Somebody else may read what was there. */
	sigprocmask(SIG_SETMASK, signals, NULL);
	got = read(terminal, secret->data, LINE_MOST + 1);
	return got < 0 ? -errno : got;
}

/*
 * A signal has to find the terminal as it was: it is held back but for while the passphrase is
 * waited for, where it ends the wait.
 */
static int read_quietly(struct secret *secret, int terminal, int64_t seconds)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct sigaction before[ARRAY_SIZE(deadly_signals)];
	struct termios saved, quiet;
	sigset_t mask;
	ssize_t got;
	size_t i;

	if (tcgetattr(terminal, &saved))
		return -errno;
	quiet = saved;
	quiet.c_lflag &= ~ECHO;
	interrupted = 0;
	block_signals(&mask);
	for (i = 0; i < ARRAY_SIZE(deadly_signals); i++)
		sigaction(deadly_signals[i], &action, &before[i]);
	tcsetattr(terminal, TCSAFLUSH, &quiet);

	got = read_in_time(secret, terminal, seconds, &mask);

	block_signals(NULL);
	tcsetattr(terminal, TCSAFLUSH, &saved);
	for (i = 0; i < ARRAY_SIZE(deadly_signals); i++)
		sigaction(deadly_signals[i], &before[i], NULL);
	fputc('\n', stderr);
	if (interrupted) {
		explicit_bzero(secret->data, LINE_MOST + 1);
		raise(interrupted);
	}
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (interrupted)
		return -EINTR;
	/* The end of all input is no empty passphrase: of a plain volume that would make a key. */
	if (got <= 0)
		return got ? got : -ENODATA;
	if (secret->data[got - 1] == '\n')
		got--;
	secret->data[got] = '\0';
	secret->size = got;
	return 0;
}

static int prompt(struct secret *secret, const char *what, int64_t seconds)
{
	int ret;

	fprintf(stderr, "Enter passphrase for %s: ", what);
	fflush(stderr);
	ret = read_quietly(secret, STDIN_FILENO, seconds);
	if (ret == -ETIME)
		return say_error(ret, "no passphrase was read: its line was not ended in %lld s",
				 (long long)seconds);
	return ret ? say_error(ret, "no passphrase was read") : 0;
}

/**
 * passphrase_read() - get a passphrase from where the options say
 * @secret: gets it
 * @options: key file, its offset and size
 * @what: what it opens, for the prompt
 *
 * Without a key file it is a line: typed blind, or the first of a standard input that is no
 * terminal, from the offset on if there is one, and as long as the size says. A key file counts
 * whole, line ends too, also when it is standard input.
 */
int passphrase_read(struct secret *secret, const struct options *options, const char *what)
{
	/* As with cryptsetup, 0 is no limit. */
	int64_t size = options->keyfile_size ? options->keyfile_size : -1;
	int ret;

	if (options->key_file && !(is_stdin(options->key_file) && isatty(STDIN_FILENO)))
		return key_file_read(secret, options->key_file, options->keyfile_offset, size);
	ret = secret_alloc(secret, FIRST_ROOM);
	if (ret)
		return ret;
	if (isatty(STDIN_FILENO)) {
		ret = prompt(secret, what, options->timeout);
	} else {
		ret = skip_bytes(STDIN_FILENO, options->keyfile_offset);
		if (!ret)
			ret = read_line(secret, STDIN_FILENO, size);
	}
	if (ret)
		secret_free(secret);
	return ret;
}

/**
 * passphrase_tries() - how often may a passphrase be asked for?
 * @options: how often, and where it comes from: only a person can know a better one
 */
int passphrase_tries(const struct options *options)
{
	if (!is_stdin(options->key_file) || !isatty(STDIN_FILENO))
		return 1;
	return options->tries > 0 ? options->tries : DEFAULT_TRIES;
}
