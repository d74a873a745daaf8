// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measures what a cipher alone costs: nothing is called but the crypto API.
 *
 * When loaded it encrypts (or decrypts) 1 MiB several times, in requests of unit bytes, each with
 * an IV of its own, and shows the least time that it took, in the parameter ns_per_mib. The data is
 * in two buffers that are each in one piece of memory, so that a request has one segment. With
 * encrypt=0 source and destination are the same, as in dm-crypt's reads.
 */
#include <crypto/skcipher.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#define BUFFER_SIZE	SZ_128K
#define TIMES		8

static char *algorithm = "xts(aes)";
module_param(algorithm, charp, 0444);
MODULE_PARM_DESC(algorithm, "Cipher, as the crypto API names it");

static unsigned int key_size = 64;
module_param(key_size, uint, 0444);
MODULE_PARM_DESC(key_size, "Bytes of the key");

static unsigned int unit;
module_param(unit, uint, 0444);
MODULE_PARM_DESC(unit, "Bytes of a request; 0 for the largest that is measured, 128 KiB");

static bool encrypt = true;
module_param(encrypt, bool, 0444);
MODULE_PARM_DESC(encrypt, "Encrypt from one buffer to another, else decrypt in place");

static ulong ns_per_mib;
module_param(ns_per_mib, ulong, 0444);
MODULE_PARM_DESC(ns_per_mib, "The result: nanoseconds for 1 MiB");

/**
 * struct bench - what a measurement needs
 * @tfm: the cipher
 * @req: one request, used again and again
 * @wait: for an asynchronous cipher
 * @src: plaintext
 * @dst: ciphertext; @src when decrypting
 * @iv: as large as the cipher's
 */
struct bench {
	struct crypto_skcipher *tfm;
	struct skcipher_request *req;
	struct crypto_wait wait;
	void *src;
	void *dst;
	u8 iv[64];
};

static int run_unit(struct bench *bench, unsigned int offset, u64 number)
{
	struct scatterlist src, dst;
	__le64 iv = cpu_to_le64(number);

	sg_init_one(&src, bench->src + offset, unit);
	sg_init_one(&dst, bench->dst + offset, unit);
	memset(bench->iv, 0, sizeof(bench->iv));
	memcpy(bench->iv, &iv, sizeof(iv));
	skcipher_request_set_crypt(bench->req, &src, &dst, unit, bench->iv);
	return crypto_wait_req(encrypt ? crypto_skcipher_encrypt(bench->req) :
				       crypto_skcipher_decrypt(bench->req), &bench->wait);
}

static int run_mib(struct bench *bench, u64 *ns)
{
	u64 number, start = ktime_get_ns();
	int ret = 0;

	for (number = 0; number < SZ_1M / unit && !ret; number++)
		ret = run_unit(bench, number * unit % BUFFER_SIZE, number);
	*ns = ktime_get_ns() - start;
	return ret;
}

static int measure(struct bench *bench)
{
	u64 ns, least = U64_MAX;
	int i, ret;

	for (i = 0; i < TIMES; i++) {
		ret = run_mib(bench, &ns);
		if (ret)
			return ret;
		least = min(least, ns);
	}
	ns_per_mib = least;
	return 0;
}

static int set_up(struct bench *bench)
{
	u8 key[128];

	bench->tfm = crypto_alloc_skcipher(algorithm, 0, 0);
	if (IS_ERR(bench->tfm))
		return PTR_ERR(bench->tfm);
	if (crypto_skcipher_ivsize(bench->tfm) > sizeof(bench->iv) || key_size > sizeof(key))
		return -EINVAL;

	get_random_bytes(key, key_size);
	bench->req = skcipher_request_alloc(bench->tfm, GFP_KERNEL);
	bench->src = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO, get_order(BUFFER_SIZE));
	bench->dst = bench->src;
	if (encrypt)
		bench->dst = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO,
						      get_order(BUFFER_SIZE));
	if (!bench->req || !bench->src || !bench->dst)
		return -ENOMEM;

	crypto_init_wait(&bench->wait);
	skcipher_request_set_callback(bench->req, CRYPTO_TFM_REQ_MAY_SLEEP, crypto_req_done,
				      &bench->wait);
	return crypto_skcipher_setkey(bench->tfm, key, key_size);
}

static void tear_down(struct bench *bench)
{
	if (bench->dst != bench->src)
		free_pages((unsigned long)bench->dst, get_order(BUFFER_SIZE));
	free_pages((unsigned long)bench->src, get_order(BUFFER_SIZE));
	skcipher_request_free(bench->req);
	if (!IS_ERR(bench->tfm))
		crypto_free_skcipher(bench->tfm);
}

static int __init cipher_cost_init(void)
{
	struct bench *bench;
	int ret;

	if (!unit)
		unit = BUFFER_SIZE;
	if (unit > BUFFER_SIZE || BUFFER_SIZE % unit)
		return -EINVAL;
	bench = kzalloc(sizeof(*bench), GFP_KERNEL);
	if (!bench)
		return -ENOMEM;

	ret = set_up(bench);
	if (!ret)
		ret = measure(bench);
	tear_down(bench);
	kfree(bench);
	return ret;
}
module_init(cipher_cost_init);

static void __exit cipher_cost_exit(void)
{
}
module_exit(cipher_cost_exit);

MODULE_DESCRIPTION("Measures what a cipher alone costs");
MODULE_LICENSE("GPL");
