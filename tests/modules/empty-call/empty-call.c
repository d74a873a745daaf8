// SPDX-License-Identifier: GPL-2.0-only
/*
 * A function that does nothing: what the kernel's tracer says of it is the tracer's own cost.
 *
 * It is called when something is written to the parameter call.
 */
#include <linux/module.h>

static noinline void empty_call(void)
{
	barrier();
}

static int set_call(const char *value, const struct kernel_param *kp)
{
	empty_call();
	return 0;
}

static const struct kernel_param_ops call_ops = { .set = set_call };
module_param_cb(call, &call_ops, NULL, 0200);
MODULE_PARM_DESC(call, "Calls the function, whatever is written");

static int __init empty_call_init(void)
{
	return 0;
}
module_init(empty_call_init);

static void __exit empty_call_exit(void)
{
}
module_exit(empty_call_exit);

MODULE_DESCRIPTION("A function that does nothing, for the tracer");
MODULE_LICENSE("GPL");
