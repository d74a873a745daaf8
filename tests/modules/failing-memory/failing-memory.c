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
#include <linux/ptrace.h>
#include <linux/sched/mm.h>
#include <linux/stacktrace.h>
#include <linux/string.h>

#define MAX_FRAMES 48

static char *of = "dm_crypt_bulk";
module_param(of, charp, 0444);
MODULE_PARM_DESC(of, "The module whose allocations count (default dm_crypt_bulk)");

static unsigned int times = 1;
module_param(times, uint, 0644);
MODULE_PARM_DESC(times, "How many allocations in a row fail (default 1)");

static bool only_pages;
module_param(only_pages, bool, 0644);
MODULE_PARM_DESC(only_pages, "Only allocations of pages count (default N)");

/* The first that fails, counted from 1; 0 for none, when nothing is counted. */
static unsigned int at;
static atomic_t seen, failed;
/* Allocations that may wait for I/O, which on the way of a bio can be for this very bio. */
static atomic_t recursing;
/* From where in the module the first of them was asked for: FUNCTION+0xOFFSET/0xSIZE */
static char where[KSYM_SYMBOL_LEN];

static int set_at(const char *text, const struct kernel_param *param)
{
	WRITE_ONCE(at, 0);
	atomic_set(&seen, 0);
	atomic_set(&failed, 0);
	atomic_set(&recursing, 0);
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
module_param_cb(recursing, &count_ops, &recursing, 0444);
MODULE_PARM_DESC(recursing, "How many of all that were counted may wait for I/O");
module_param_string(where, where, sizeof(where), 0444);
MODULE_PARM_DESC(where, "The place in a function from which the first of them was asked for");

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

static struct function {
	/* As Linux 6.1 or a later one calls it; all return a pointer, or a number of pages. */
	const char *name;
	/* Which argument has the GFP flags. */
	int flags;
	struct kprobe probe;
} functions[] = {
/* Arguments that only some configurations pass, before the flags. */
#define BUCKETS		IS_ENABLED(CONFIG_SLAB_BUCKETS)
#define TOKEN		IS_ENABLED(CONFIG_KMALLOC_PARTITION_CACHES)
	{ "__kmalloc", 1 },
	{ "__kmalloc_noprof", 1 + TOKEN },
	{ "__kmalloc_node", 1 },
	{ "__kmalloc_node_noprof", 1 + BUCKETS + TOKEN },
	{ "__kmalloc_node_track_caller", 1 },
	{ "__kmalloc_node_track_caller_noprof", 1 + BUCKETS + TOKEN },
	{ "kmalloc_trace", 1 },
	{ "__kmalloc_cache_noprof", 1 },
	{ "kmalloc_node_trace", 1 },
	{ "__kmalloc_cache_node_noprof", 1 },
	{ "kmalloc_large", 1 },
	{ "__kmalloc_large_noprof", 1 },
	{ "kmalloc_large_node", 1 },
	{ "__kmalloc_large_node_noprof", 1 },
	{ "kmem_cache_alloc", 1 },
	{ "kmem_cache_alloc_noprof", 1 },
	{ "kmem_cache_alloc_lru", 2 },
	{ "kmem_cache_alloc_lru_noprof", 2 },
	{ "kmem_cache_alloc_node", 1 },
	{ "kmem_cache_alloc_node_noprof", 1 },
	{ "kmem_cache_alloc_bulk", 1 },
	{ "kmem_cache_alloc_bulk_noprof", 1 },
	{ "__alloc_pages", 0 },
	{ "__alloc_pages_noprof", 0 },
	{ "__alloc_frozen_pages_noprof", 0 },
	{ "__alloc_pages_bulk", 0 },
	{ "alloc_pages_bulk_noprof", 0 },
	{ "pcpu_alloc", 3 },
	{ "pcpu_alloc_noprof", 3 },
};

static bool may_wait_for_io(gfp_t flags)
{
	return (flags & __GFP_DIRECT_RECLAIM) && (current_gfp_context(flags) & __GFP_IO);
}

static int before(struct kprobe *probe, struct pt_regs *regs)
{
	const struct function *function = container_of(probe, struct function, probe);
	unsigned int first = READ_ONCE(at), nr;
	unsigned long caller;

	if (!first || (READ_ONCE(only_pages) && !strstr(function->name, "_pages")))
		return 0;
	caller = find_caller();
	if (!caller)
		return 0;
	if (may_wait_for_io((__force gfp_t)regs_get_kernel_argument(regs, function->flags)))
		atomic_inc(&recursing);
	nr = atomic_inc_return(&seen);
	if (nr < first || nr - first >= READ_ONCE(times))
		return 0;
	if (!atomic_fetch_inc(&failed))
		sprint_symbol(where, caller);
	/* The function has done nothing yet: its caller's address is on top of the stack. */
	regs->ip = (unsigned long)refuse;
	return 1;
}

/* The kernel makes a jump of a probe without this one, which cannot go anywhere else. */
static void after(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static void unregister_all(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(functions); i++)
		if (functions[i].probe.addr)
			unregister_kprobe(&functions[i].probe);
}

static int __init failing_memory_init(void)
{
	unsigned int found = 0, i;

	for (i = 0; i < ARRAY_SIZE(functions); i++) {
		struct kprobe *probe = &functions[i].probe;
		int ret;

		probe->symbol_name = functions[i].name;
		probe->pre_handler = before;
		probe->post_handler = after;
		ret = register_kprobe(probe);
		if (!ret) {
			found++;
			continue;
		}
		probe->addr = NULL;
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
