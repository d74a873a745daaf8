// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes one allocation of memory fail, out of all that a module asks for, on kernels that have no
 * fault injection of their own: a probe at the start of each function that allocates returns NULL
 * in its place.
 *
 * An allocation counts if the module is on the stack, however many functions of the kernel lie in
 * between: a cipher that it makes, a work queue. What bios need that are submitted by the module
 * is the device's.
 */
#include <linux/atomic.h>
#include <linux/hash.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/stacktrace.h>
#include <linux/string.h>

#define MAX_FRAMES 48

static char *of = "dm_crypt_bulk";
module_param(of, charp, 0444);
MODULE_PARM_DESC(of, "The module whose allocations count (default dm_crypt_bulk)");

static unsigned int times = 1;
module_param(times, uint, 0644);
MODULE_PARM_DESC(times, "How many allocations in a row fail (default 1)");

/* The first that fails, counted from 1; 0 for none, when nothing is counted. */
static unsigned int at;
static atomic_t seen, failed;
/* In which of the module's functions the first of them failed; for people. */
static char where[KSYM_SYMBOL_LEN];

static int set_at(const char *text, const struct kernel_param *param)
{
	WRITE_ONCE(at, 0);
	atomic_set(&seen, 0);
	atomic_set(&failed, 0);
	return param_set_uint(text, param);
}

static const struct kernel_param_ops at_ops = {
	.set = set_at,
	.get = param_get_uint,
};

module_param_cb(at, &at_ops, &at, 0644);
MODULE_PARM_DESC(at, "The allocation that is to fail; setting it starts to count (default 0: none)");

static int get_count(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%d\n", atomic_read(param->arg));
}

static const struct kernel_param_ops count_ops = {
	.get = get_count,
};

module_param_cb(seen, &count_ops, &seen, 0444);
MODULE_PARM_DESC(seen, "How many allocations have been counted");
module_param_cb(failed, &count_ops, &failed, 0444);
MODULE_PARM_DESC(failed, "How many of them have failed");
module_param_string(where, where, sizeof(where), 0444);
MODULE_PARM_DESC(where, "The function in which the first of them failed");

/* What an address on the stack says of the allocation that is asked for above it. */
enum frame {
	FRAME_OTHER,
	FRAME_MODULE,
	/* The block layer hands bios to a driver, at once or when they have piled up. */
	FRAME_SUBMISSION,
};

#define KNOWN_BITS 12

/*
 * To find the symbol of an address takes longer than most allocations, and all of the system pass
 * here. An entry is an address, without its two highest bits that all addresses of the kernel have
 * set, and what it says in the two lowest. Who writes last wins; whatever is there is true, since
 * modules stay where they are while this one is in use.
 */
static unsigned long known[1 << KNOWN_BITS];

static enum frame look_up(unsigned long address)
{
	char symbol[KSYM_SYMBOL_LEN];
	const char *module;

	sprint_symbol_no_offset(symbol, address);
	if (str_has_prefix(symbol, "submit_bio") || str_has_prefix(symbol, "blk_") ||
	    str_has_prefix(symbol, "__blk_"))
		return FRAME_SUBMISSION;
	module = strchr(symbol, '[');
	if (module && str_has_prefix(module + 1, of) && module[1 + strlen(of)] == ']')
		return FRAME_MODULE;
	return FRAME_OTHER;
}

static enum frame classify(unsigned long address)
{
	unsigned long *slot = &known[hash_long(address, KNOWN_BITS)];
	unsigned long entry = READ_ONCE(*slot);

	if (entry >> 2 != (address << 2) >> 2) {
		entry = address << 2 | look_up(address);
		WRITE_ONCE(*slot, entry);
	}
	return entry & 3;
}

/*
 * The address of the module's innermost function on the stack, 0 if it is not there, or only as who
 * submitted a bio.
 */
static unsigned long find_caller(void)
{
	unsigned long frames[MAX_FRAMES];
	unsigned int nr, i;

	nr = stack_trace_save(frames, ARRAY_SIZE(frames), 0);
	for (i = 0; i < nr; i++) {
		switch (classify(frames[i])) {
		case FRAME_MODULE:
			return frames[i];
		case FRAME_SUBMISSION:
			return 0;
		case FRAME_OTHER:
			break;
		}
	}
	return 0;
}

static void *refuse(void)
{
	return NULL;
}

static int before(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned int first = READ_ONCE(at), nr;
	unsigned long caller;

	if (!first)
		return 0;
	caller = find_caller();
	if (!caller)
		return 0;
	nr = atomic_inc_return(&seen);
	if (nr < first || nr - first >= READ_ONCE(times))
		return 0;
	if (!atomic_fetch_inc(&failed))
		sprint_symbol_no_offset(where, caller);
	/* The function has done nothing yet: its caller's address is on top of the stack. */
	regs->ip = (unsigned long)refuse;
	return 1;
}

/* By their names of Linux 6.1 and of later ones; all return a pointer, or a number of pages. */
static const char *const names[] = {
	"__kmalloc", "__kmalloc_noprof",
	"__kmalloc_node", "__kmalloc_node_noprof",
	"__kmalloc_node_track_caller", "__kmalloc_node_track_caller_noprof",
	"kmalloc_trace", "__kmalloc_cache_noprof",
	"kmalloc_node_trace", "__kmalloc_cache_node_noprof",
	"kmalloc_large", "__kmalloc_large_noprof",
	"kmalloc_large_node", "__kmalloc_large_node_noprof",
	"kmem_cache_alloc", "kmem_cache_alloc_noprof",
	"kmem_cache_alloc_lru", "kmem_cache_alloc_lru_noprof",
	"kmem_cache_alloc_node", "kmem_cache_alloc_node_noprof",
	"kmem_cache_alloc_bulk", "kmem_cache_alloc_bulk_noprof",
	"__alloc_pages", "__alloc_pages_noprof", "__alloc_frozen_pages_noprof",
	"__alloc_pages_bulk", "alloc_pages_bulk_noprof",
	"pcpu_alloc", "pcpu_alloc_noprof",
};

static struct kprobe probes[ARRAY_SIZE(names)];

static void unregister_all(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(probes); i++)
		if (probes[i].addr)
			unregister_kprobe(&probes[i]);
}

static int __init failing_memory_init(void)
{
	unsigned int found = 0, i;

	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		int ret;

		probes[i].symbol_name = names[i];
		probes[i].pre_handler = before;
		ret = register_kprobe(&probes[i]);
		if (!ret) {
			found++;
			continue;
		}
		probes[i].addr = NULL;
		/* This kernel calls it otherwise. */
		if (ret != -ENOENT) {
			unregister_all();
			return ret;
		}
	}
	pr_info("failing-memory: %u functions that allocate\n", found);
	return found ? 0 : -ENOENT;
}

static void __exit failing_memory_exit(void)
{
	unregister_all();
}

module_init(failing_memory_init);
module_exit(failing_memory_exit);

MODULE_AUTHOR("the dm-crypt-bulk developers");
MODULE_DESCRIPTION("Makes single allocations of memory fail");
MODULE_LICENSE("GPL");
