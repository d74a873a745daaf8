/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model of the kernel's crypto API and of its keyrings: a few algorithms by their names, with
 * the sizes that matter to who parses a line. Nothing is encrypted; keys are read to their ends.
 */
#ifndef FUZZ_CRYPTO_API_H
#define FUZZ_CRYPTO_API_H

#define CRYPTO_MAX_ALG_NAME 128
#define CRYPTO_ALG_ASYNC BIT(0)
#define CRYPTO_ALG_INTERNAL BIT(1)
#define CRYPTO_ALG_ALLOCATES_MEMORY BIT(2)
/* A key of zeros is refused. */
#define FUZZ_WEAK_ZEROS BIT(3)
#define MAX_CIPHER_BLOCKSIZE 16
#define AES_BLOCK_SIZE 16
#define AES_MAX_KEY_SIZE 32
#define MD5_DIGEST_SIZE 16

enum fuzz_kind { FUZZ_SKCIPHER, FUZZ_AEAD, FUZZ_AHASH };

struct crypto_alg {
	const char *cra_name;
	const char *cra_driver_name;
	unsigned long cra_flags;
};

/**
 * struct skcipher_alg - an algorithm of any kind
 * @base: its name and its driver's
 * @kind: what it is
 * @iv_size: bytes of an IV
 * @block_size: bytes of a block, or of a digest
 * @min_key: bytes of the shortest key
 * @max_key: bytes of the longest; a key has a multiple of 4 bytes
 */
struct skcipher_alg {
	struct crypto_alg base;
	enum fuzz_kind kind;
	unsigned int iv_size;
	unsigned int block_size;
	unsigned int min_key;
	unsigned int max_key;
};

struct crypto_tfm {
	const struct crypto_alg *__crt_alg;
	const struct skcipher_alg *alg;
	unsigned int sum;
};

/* One transform for all kinds; the names that the API has for each */
struct crypto_skcipher {
	struct crypto_tfm tfm;
};

struct crypto_aead {
	struct crypto_tfm tfm;
};

struct crypto_ahash {
	struct crypto_tfm tfm;
};

struct crypto_sync_skcipher {
	struct crypto_skcipher base;
};

void *fuzz_alloc_tfm(enum fuzz_kind kind, const char *name, u32 type, u32 mask);
int fuzz_set_key(struct crypto_tfm *tfm, const u8 *key, unsigned int size);

#define crypto_alloc_skcipher(name, type, mask) fuzz_alloc_tfm(FUZZ_SKCIPHER, name, type, mask)
#define crypto_alloc_sync_skcipher(name, type, mask) \
	fuzz_alloc_tfm(FUZZ_SKCIPHER, name, type, (mask) | CRYPTO_ALG_ASYNC)
#define crypto_alloc_aead(name, type, mask) fuzz_alloc_tfm(FUZZ_AEAD, name, type, mask)
#define crypto_alloc_ahash(name, type, mask) fuzz_alloc_tfm(FUZZ_AHASH, name, type, mask)
#define crypto_free_skcipher(cipher) kfree(cipher)
#define crypto_free_sync_skcipher(cipher) kfree(cipher)
#define crypto_free_aead(aead) kfree(aead)
#define crypto_free_ahash(hash) kfree(hash)
#define crypto_skcipher_setkey(cipher, key, size) fuzz_set_key(&(cipher)->tfm, key, size)
#define crypto_sync_skcipher_setkey(cipher, key, size) \
	crypto_skcipher_setkey(&(cipher)->base, key, size)
#define crypto_aead_setkey(aead, key, size) fuzz_set_key(&(aead)->tfm, key, size)
#define crypto_skcipher_tfm(cipher) (&(cipher)->tfm)
#define crypto_aead_tfm(aead) (&(aead)->tfm)
#define crypto_skcipher_alg(cipher) ((cipher)->tfm.alg)
#define crypto_tfm_alg_driver_name(transform) ((transform)->__crt_alg->cra_driver_name)
#define crypto_skcipher_ivsize(cipher) ((cipher)->tfm.alg->iv_size)
#define crypto_skcipher_blocksize(cipher) ((cipher)->tfm.alg->block_size)
#define crypto_aead_ivsize(aead) ((aead)->tfm.alg->iv_size)
#define crypto_aead_blocksize(aead) ((aead)->tfm.alg->block_size)
#define crypto_ahash_digestsize(hash) ((hash)->tfm.alg->block_size)

/* The key of authenc(): lengths of its two parts in front */
struct rtattr {
	unsigned short rta_len;
	unsigned short rta_type;
};

struct crypto_authenc_key_param {
	__be32 enckeylen;
};

#define CRYPTO_AUTHENC_KEYA_PARAM 1
#define RTA_LENGTH(size) (sizeof(struct rtattr) + (size))
#define RTA_SPACE(size) RTA_LENGTH(size)

/* A request, as far as one block is encrypted for the IV */
struct scatterlist {
	const u8 *page;
	u8 *memory;
	unsigned int size;
};

struct skcipher_request {
	struct scatterlist *dst;
	unsigned int size;
	u8 *iv;
};

#define ZERO_PAGE(address) ((const u8 *)NULL)
#define sg_init_table(list, nr) memset(list, 0, (nr) * sizeof(*(list)))
#define sg_set_page(list, from, length, offset) \
	(*(list) = (struct scatterlist){ .page = (from), .size = (length) + (offset) })
#define sg_init_one(list, at, length) \
	(*(list) = (struct scatterlist){ .memory = (at), .size = (length) })
#define SYNC_SKCIPHER_REQUEST_ON_STACK(name, cipher) \
	struct skcipher_request name##_memory = {}, *name = &name##_memory
#define skcipher_request_set_sync_tfm(request, cipher) ((void)(cipher))
#define skcipher_request_set_callback(request, flags, done, data) ((void)(request))
#define skcipher_request_set_crypt(request, from, to, bytes, start)	\
	(*(request) = (struct skcipher_request){			\
		.dst = (to), .size = (bytes), .iv = (start) })
#define skcipher_request_zero(request) memset(request, 0, sizeof(*(request)))
int crypto_skcipher_encrypt(struct skcipher_request *request);

/* What IV modes compute with */
#define crypto_xor(to, from, size) crypto_xor_cpy(to, to, from, size)
void crypto_xor_cpy(u8 *to, const u8 *a, const u8 *b, unsigned int size);
u32 crc32_le(u32 sum, const u8 *from, size_t size);

#define cbulk_aes_t struct fuzz_aes
struct fuzz_aes {
	unsigned int sum;
};

int cbulk_aes_set_key(struct fuzz_aes *aes, const u8 *key, unsigned int size);
void aes_encrypt(const struct fuzz_aes *aes, u8 *to, const u8 *from);

struct kvec {
	void *iov_base;
	size_t iov_len;
};

struct cbulk_md5 {
	void *tfm;
};

int cbulk_md5_init(struct cbulk_md5 *md5, char **error);
void cbulk_md5_exit(struct cbulk_md5 *md5);
int cbulk_md5_whole_blocks(const struct cbulk_md5 *md5, const struct kvec *parts, unsigned int nr,
			   u8 *hash);

/* Keys named fz:N have N bytes, fz:revoked is none any more; there are no others. */
struct key_type {
	const char *name;
};

struct key {
	struct rw_semaphore sem;
	struct {
		void *data[1];
	} payload;
};

struct user_key_payload {
	unsigned short datalen;
	u8 *data;
};

struct encrypted_key_payload {
	unsigned short decrypted_datalen;
	u8 *decrypted_data;
};

struct trusted_key_payload {
	unsigned int key_len;
	u8 *key;
};

extern struct key_type key_type_logon, key_type_user, key_type_encrypted, key_type_trusted;

#define user_key_payload_locked(key) ((const struct user_key_payload *)(key)->payload.data[0])
void *request_key(const struct key_type *type, const char *description, const char *info);
void key_put(struct key *key);

#endif /* FUZZ_CRYPTO_API_H */
