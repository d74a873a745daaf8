// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ciphers that complete later, as those of a device do: the template cryptd, for kernels that were
 * built without their own.
 *
 * cryptd(DRIVER) is the synchronous cipher DRIVER, in whose place a work queue takes requests in
 * turn. There is one queue for all, of QUEUE_LENGTH requests: what comes then is told to wait for
 * its place (-EBUSY), or is refused if the caller does not want to.
 */
#include <crypto/algapi.h>
#include <crypto/internal/skcipher.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#define QUEUE_LENGTH 1000
/* Lower than any other: nobody gets such a cipher who did not ask for this template. */
#define PRIORITY 1

/**
 * struct later_tfm - a cipher
 * @child: does its work
 */
struct later_tfm {
	struct crypto_skcipher *child;
};

/**
 * struct later_request - what belongs to a request
 * @work: what the child is to do: crypto_skcipher_encrypt() or crypto_skcipher_decrypt()
 * @child: the child's own request
 */
struct later_request {
	int (*work)(struct skcipher_request *req);
	struct skcipher_request child; /* the last: the child's data follow */
};

static struct workqueue_struct *workqueue;
static struct crypto_queue queue;
static DEFINE_SPINLOCK(queue_lock);

static void complete_request(struct crypto_async_request *req, int error)
{
	local_bh_disable();
	crypto_request_complete(req, error);
	local_bh_enable();
}

static int process(struct skcipher_request *req)
{
	struct later_tfm *later = crypto_skcipher_ctx(crypto_skcipher_reqtfm(req));
	struct later_request *request = skcipher_request_ctx(req);

	skcipher_request_set_tfm(&request->child, later->child);
	skcipher_request_set_callback(&request->child, CRYPTO_TFM_REQ_MAY_SLEEP, NULL, NULL);
	skcipher_request_set_crypt(&request->child, req->src, req->dst, req->cryptlen, req->iv);
	return request->work(&request->child);
}

static void process_queue(struct work_struct *work)
{
	struct crypto_async_request *req, *admitted;

	for (;;) {
		spin_lock_bh(&queue_lock);
		admitted = crypto_get_backlog(&queue);
		req = crypto_dequeue_request(&queue);
		spin_unlock_bh(&queue_lock);
		if (!req)
			return;
		if (admitted)
			complete_request(admitted, -EINPROGRESS);
		complete_request(req, process(skcipher_request_cast(req)));
		cond_resched();
	}
}

static DECLARE_WORK(queue_work_item, process_queue);

static int enqueue(struct skcipher_request *req, int (*work)(struct skcipher_request *))
{
	struct later_request *request = skcipher_request_ctx(req);
	int ret;

	request->work = work;
	spin_lock_bh(&queue_lock);
	ret = crypto_enqueue_request(&queue, &req->base);
	spin_unlock_bh(&queue_lock);
	queue_work(workqueue, &queue_work_item);
	return ret;
}

static int later_encrypt(struct skcipher_request *req)
{
	return enqueue(req, crypto_skcipher_encrypt);
}

static int later_decrypt(struct skcipher_request *req)
{
	return enqueue(req, crypto_skcipher_decrypt);
}

static int later_setkey(struct crypto_skcipher *tfm, const u8 *key, unsigned int size)
{
	struct later_tfm *later = crypto_skcipher_ctx(tfm);

	crypto_skcipher_clear_flags(later->child, CRYPTO_TFM_REQ_MASK);
	crypto_skcipher_set_flags(later->child,
				  crypto_skcipher_get_flags(tfm) & CRYPTO_TFM_REQ_MASK);
	return crypto_skcipher_setkey(later->child, key, size);
}

static int later_init(struct crypto_skcipher *tfm)
{
	struct later_tfm *later = crypto_skcipher_ctx(tfm);
	struct crypto_skcipher *child;

	child = crypto_spawn_skcipher(skcipher_instance_ctx(skcipher_alg_instance(tfm)));
	if (IS_ERR(child))
		return PTR_ERR(child);
	later->child = child;
	crypto_skcipher_set_reqsize(tfm, sizeof(struct later_request) +
					 crypto_skcipher_reqsize(child));
	return 0;
}

static void later_exit(struct crypto_skcipher *tfm)
{
	struct later_tfm *later = crypto_skcipher_ctx(tfm);

	crypto_free_skcipher(later->child);
}

static void later_free(struct skcipher_instance *inst)
{
	crypto_drop_skcipher(skcipher_instance_ctx(inst));
	kfree(inst);
}

static int describe(struct skcipher_instance *inst, const struct skcipher_alg_common *child)
{
	struct skcipher_alg *alg = &inst->alg;

	strscpy(alg->base.cra_name, child->base.cra_name);
	if (snprintf(alg->base.cra_driver_name, CRYPTO_MAX_ALG_NAME, "cryptd(%s)",
		     child->base.cra_driver_name) >= CRYPTO_MAX_ALG_NAME)
		return -ENAMETOOLONG;

	alg->base.cra_priority = PRIORITY;
	alg->base.cra_flags = CRYPTO_ALG_ASYNC | (child->base.cra_flags & CRYPTO_ALG_INTERNAL);
	alg->base.cra_blocksize = child->base.cra_blocksize;
	alg->base.cra_alignmask = child->base.cra_alignmask;
	alg->base.cra_ctxsize = sizeof(struct later_tfm);
	alg->ivsize = child->ivsize;
	alg->chunksize = child->chunksize;
	alg->min_keysize = child->min_keysize;
	alg->max_keysize = child->max_keysize;
	alg->init = later_init;
	alg->exit = later_exit;
	alg->setkey = later_setkey;
	alg->encrypt = later_encrypt;
	alg->decrypt = later_decrypt;
	inst->free = later_free;
	return 0;
}

static int create(struct crypto_template *template, struct rtattr **tb)
{
	struct crypto_skcipher_spawn *spawn;
	struct skcipher_instance *inst;
	u32 mask;
	int ret;

	ret = crypto_check_attr_type(tb, CRYPTO_ALG_TYPE_SKCIPHER, &mask);
	if (ret)
		return ret;
	/* Somebody who has no time to wait. */
	if (mask & CRYPTO_ALG_ASYNC)
		return -EINVAL;

	inst = kzalloc(sizeof(*inst) + sizeof(*spawn), GFP_KERNEL);
	if (!inst)
		return -ENOMEM;
	spawn = skcipher_instance_ctx(inst);
	ret = crypto_grab_skcipher(spawn, skcipher_crypto_instance(inst),
				   crypto_attr_alg_name(tb[1]), 0, mask | CRYPTO_ALG_ASYNC);
	if (!ret)
		ret = describe(inst, crypto_spawn_skcipher_alg_common(spawn));
	if (!ret)
		ret = skcipher_register_instance(template, inst);
	if (ret)
		later_free(inst);
	return ret;
}

static struct crypto_template template = {
	.name = "cryptd",
	.create = create,
	.module = THIS_MODULE,
};

static int __init async_cipher_init(void)
{
	int ret;

	crypto_init_queue(&queue, QUEUE_LENGTH);
	workqueue = alloc_workqueue("async-cipher", WQ_UNBOUND | WQ_MEM_RECLAIM, 1);
	if (!workqueue)
		return -ENOMEM;
	ret = crypto_register_template(&template);
	if (ret)
		destroy_workqueue(workqueue);
	return ret;
}

static void __exit async_cipher_exit(void)
{
	crypto_unregister_template(&template);
	destroy_workqueue(workqueue);
}

module_init(async_cipher_init);
module_exit(async_cipher_exit);
MODULE_DESCRIPTION("The template cryptd, for tests on kernels without it");
MODULE_LICENSE("GPL");
