// SPDX-License-Identifier: GPL-2.0-only
/*
 * A cipher that encrypts nothing, and reports an error when told to: after it has copied the
 * plaintext to where the ciphertext belongs, as the worst of drivers would.
 */
#include <crypto/internal/skcipher.h>
#include <linux/atomic.h>
#include <linux/module.h>

static bool fail;
module_param(fail, bool, 0644);
MODULE_PARM_DESC(fail, "Report an error for every encryption (default N)");

static atomic_t nr_failed;

static int get_failed(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%d\n", atomic_read(&nr_failed));
}

static const struct kernel_param_ops failed_ops = {
	.get = get_failed,
};

module_param_cb(failed, &failed_ops, NULL, 0444);
MODULE_PARM_DESC(failed, "How many errors have been reported");

static int copy(struct skcipher_request *req)
{
	struct skcipher_walk walk;
	int ret = skcipher_walk_virt(&walk, req, false);

	while (walk.nbytes) {
		if (walk.src.virt.addr != walk.dst.virt.addr)
			memcpy(walk.dst.virt.addr, walk.src.virt.addr, walk.nbytes);
		ret = skcipher_walk_done(&walk, 0);
	}
	return ret;
}

static int encrypt(struct skcipher_request *req)
{
	int ret = copy(req);

	if (ret || !READ_ONCE(fail))
		return ret;
	atomic_inc(&nr_failed);
	return -EIO;
}

static int setkey(struct crypto_skcipher *tfm, const u8 *key, unsigned int size)
{
	return 0;
}

static struct skcipher_alg alg = {
	.base.cra_name = "failing",
	.base.cra_driver_name = "failing-test",
	.base.cra_priority = 1,
	.base.cra_blocksize = 16,
	.base.cra_module = THIS_MODULE,
	.min_keysize = 16,
	.max_keysize = 16,
	.ivsize = 16,
	.setkey = setkey,
	.encrypt = encrypt,
	.decrypt = copy,
};

static int __init failing_cipher_init(void)
{
	return crypto_register_skcipher(&alg);
}
module_init(failing_cipher_init);

static void __exit failing_cipher_exit(void)
{
	crypto_unregister_skcipher(&alg);
}
module_exit(failing_cipher_exit);

MODULE_DESCRIPTION("A cipher that fails when told to, for tests");
MODULE_LICENSE("GPL");
