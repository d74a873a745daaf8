// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who does the work of a bio: the one who brings it, or a work queue.
 *
 * A work queue spreads the work over the CPUs, and its thread puts the writes in order. That pays
 * for large requests and for rotational disks. For a request of 4 KiB the way there and back costs
 * more than the encryption.
 *
 * Options of the table line decide. Where it has none of them and the device neither rotates nor
 * has zones, every bio is decided by itself: by its size, by how long the cipher takes for so much,
 * which is measured when the mapping is made, and by where it is.
 */
#include <linux/blkdev.h>
#include <linux/cpumask.h>
#include <linux/hardirq.h>
#include <linux/irqflags.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include "crypt-bulk.h"

/*
 * What a hand-off costs: two changes of task, of which one on a CPU that may have to wake up. Work
 * that takes no longer is done where it is.
 */
#define HANDOFF_NS		15000

/* Requests of at least this size gain from several CPUs, however fast one of them is. */
#define SHARED_BYTES		SZ_64K

/* The longest that a completion may go on decrypting, where nothing else can run meanwhile */
#define COMPLETION_BYTES	SZ_128K

/* In softirq context: how much of the time between two ticks may be spent so */
#define SOFTIRQ_NS		(NSEC_PER_SEC / HZ / 8)

/* The cipher's time is measured for so much, so often; the shortest time counts. */
#define SAMPLE_BYTES		4096
#define SAMPLES			8

static bool adaptive = true;
module_param(adaptive, bool, 0644);
MODULE_PARM_DESC(adaptive,
		 "Without options for work queues, on devices that do not rotate: use them only for requests that gain by it (default Y; N: as dm-crypt)");

struct softirq_time {
	unsigned long tick;
	unsigned int ns;
};

static DEFINE_PER_CPU(struct softirq_time, softirq_time);

/* Return: 0, or why the time that it took says nothing. */
static int encrypt_sample(const struct cbulk_cipher *cipher, struct skcipher_request *req,
			  struct page *page, u8 *iv)
{
	DECLARE_CRYPTO_WAIT(wait);
	struct scatterlist sg;
	unsigned int done;
	int ret = 0;

	sg_init_table(&sg, 1);
	skcipher_request_set_callback(req, CRYPTO_TFM_REQ_MAY_BACKLOG, crypto_req_done, &wait);
	for (done = 0; !ret && done < SAMPLE_BYTES; done += cipher->unit_size) {
		sg_set_page(&sg, page, cipher->unit_size, done);
		skcipher_request_set_crypt(req, &sg, &sg, cipher->unit_size, iv);
		ret = crypto_skcipher_encrypt(req);
	}
	/* A driver that works beside the CPU: nothing is gained by staying here. */
	if (ret == -EINPROGRESS || ret == -EBUSY) {
		crypto_wait_req(ret, &wait);
		return -EINPROGRESS;
	}
	return ret;
}

/* The cipher's time for SAMPLE_BYTES in nanoseconds, 0 where it cannot be told. */
static unsigned int measure_cipher(const struct cbulk_cipher *cipher)
{
	struct skcipher_request *req = skcipher_request_alloc(cipher->tfms[0], GFP_KERNEL);
	u8 *iv = kzalloc(max_t(unsigned int, cipher->iv_size, 1), GFP_KERNEL);
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	unsigned int best = 0, i;

	for (i = 0; req && iv && page && i < SAMPLES; i++) {
		u64 ns, start = ktime_get_ns();

		if (encrypt_sample(cipher, req, page, iv)) {
			best = 0;
			break;
		}
		ns = clamp_t(u64, ktime_get_ns() - start, 1, UINT_MAX);
		best = best ? min_t(u64, best, ns) : ns;
	}
	if (page)
		__free_page(page);
	kfree(iv);
	skcipher_request_free(req);
	return best;
}

/**
 * cbulk_handoff_init() - find out how the bios of a mapping are to be decided on
 * @ct: the mapping, with its cipher, its key and its device
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int cbulk_handoff_init(struct cbulk_target *ct)
{
	const unsigned long options = BIT(CBULK_SAME_CPU_CRYPT) |
				      BIT(CBULK_SUBMIT_FROM_CRYPT_CPUS) |
				      BIT(CBULK_NO_READ_WORKQUEUE) |
				      BIT(CBULK_NO_WRITE_WORKQUEUE);
	struct cbulk_handoff *handoff = &ct->handoff;

	handoff->counters = alloc_percpu(struct cbulk_counters);
	if (!handoff->counters)
		return -ENOMEM;
	if (!(ct->flags & options) && cbulk_cipher_is_plain(&ct->cipher) &&
	    !bdev_rot(ct->dev->bdev) && !bdev_is_zoned(ct->dev->bdev))
		handoff->sample_ns = measure_cipher(&ct->cipher);
	return 0;
}

/**
 * cbulk_handoff_exit() - undo cbulk_handoff_init()
 * @ct: the mapping, idle; also where cbulk_handoff_init() failed or was not called
 */
void cbulk_handoff_exit(struct cbulk_target *ct)
{
	free_percpu(ct->handoff.counters);
	ct->handoff.counters = NULL;
}

/**
 * cbulk_handoff_adapts() - is every bio of a mapping decided by itself?
 * @ct: the mapping
 *
 * Context: any.
 */
bool cbulk_handoff_adapts(const struct cbulk_target *ct)
{
	return ct->handoff.sample_ns && READ_ONCE(adaptive);
}

static unsigned int cipher_ns(const struct cbulk_target *ct, unsigned int bytes)
{
	return min_t(u64, (u64)ct->handoff.sample_ns * bytes / SAMPLE_BYTES, UINT_MAX);
}

/* Would another CPU have it done so much earlier that it pays to wake it? */
static bool is_worth_sharing(const struct cbulk_target *ct, unsigned int bytes)
{
	return num_online_cpus() > 1 &&
	       (bytes >= SHARED_BYTES || cipher_ns(ct, bytes) > HANDOFF_NS);
}

/* Is there time left in this tick for softirqs of this CPU to do so much of ours? */
static bool softirq_has_time(unsigned int ns)
{
	struct softirq_time *time = this_cpu_ptr(&softirq_time);
	unsigned long tick = jiffies;

	if (time->tick != tick) {
		time->tick = tick;
		time->ns = 0;
	}
	/* A hard interrupt that comes in between may have spent more than there was. */
	if ((u64)time->ns + ns > SOFTIRQ_NS)
		return false;
	time->ns += ns;
	return true;
}

static bool is_to_be_queued(const struct cbulk_io *io, unsigned long option)
{
	const struct cbulk_target *ct = io->ct;

	if (test_bit(option, &ct->flags))
		return false;
	return !cbulk_handoff_adapts(ct) || is_worth_sharing(ct, io->base->bi_iter.bi_size);
}

static enum cbulk_place place_read(const struct cbulk_io *io)
{
	unsigned int bytes = io->base->bi_iter.bi_size;
	const struct cbulk_target *ct = io->ct;
	/* The crypto API refuses to work there. */
	bool soon = in_hardirq() || irqs_disabled();

	if (is_to_be_queued(io, CBULK_NO_READ_WORKQUEUE))
		return CBULK_QUEUED;
	if (!test_bit(CBULK_NO_READ_WORKQUEUE, &ct->flags)) {
		if (bytes > COMPLETION_BYTES)
			return CBULK_QUEUED;
		if ((soon || in_serving_softirq()) && !softirq_has_time(cipher_ns(ct, bytes)))
			return CBULK_QUEUED;
	}
	return soon ? CBULK_SOON : CBULK_HERE;
}

/**
 * cbulk_handoff_write() - who is to encrypt a write?
 * @io: the io, in map
 *
 * Context: map, process context.
 * Return: %CBULK_HERE or %CBULK_QUEUED.
 */
enum cbulk_place cbulk_handoff_write(const struct cbulk_io *io)
{
	struct cbulk_counters __percpu *counters = io->ct->handoff.counters;

	if (is_to_be_queued(io, CBULK_NO_WRITE_WORKQUEUE)) {
		this_cpu_inc(counters->writes_queued);
		return CBULK_QUEUED;
	}
	this_cpu_inc(counters->writes_inline);
	return CBULK_HERE;
}

/**
 * cbulk_handoff_read() - who is to decrypt a read?
 * @io: the io, its data there but still encrypted
 *
 * Context: completion of a bio, any context.
 * Return: where; whoever it is must not sleep for %CBULK_HERE and %CBULK_SOON.
 */
enum cbulk_place cbulk_handoff_read(const struct cbulk_io *io)
{
	struct cbulk_counters __percpu *counters = io->ct->handoff.counters;
	enum cbulk_place place = place_read(io);

	if (place == CBULK_QUEUED)
		this_cpu_inc(counters->reads_queued);
	else
		this_cpu_inc(counters->reads_inline);
	return place;
}

/**
 * cbulk_handoff_submits() - may an encrypted write go to the device without the order thread?
 * @ct: the mapping
 *
 * Context: any.
 */
bool cbulk_handoff_submits(const struct cbulk_target *ct)
{
	return test_bit(CBULK_SUBMIT_FROM_CRYPT_CPUS, &ct->flags) ||
	       test_bit(CBULK_NO_WRITE_WORKQUEUE, &ct->flags) || cbulk_handoff_adapts(ct);
}

/**
 * cbulk_handoff_count() - sum up what was decided
 * @ct: the mapping
 * @sum: gets it
 *
 * Context: any.
 */
void cbulk_handoff_count(const struct cbulk_target *ct, struct cbulk_counters *sum)
{
	int cpu;

	*sum = (struct cbulk_counters){};
	for_each_possible_cpu(cpu) {
		const struct cbulk_counters *one = per_cpu_ptr(ct->handoff.counters, cpu);

		sum->writes_inline += READ_ONCE(one->writes_inline);
		sum->writes_queued += READ_ONCE(one->writes_queued);
		sum->reads_inline += READ_ONCE(one->reads_inline);
		sum->reads_queued += READ_ONCE(one->reads_queued);
	}
}
