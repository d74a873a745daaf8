// SPDX-License-Identifier: GPL-2.0-only
/* The crypto API and the keyrings, in user space: names, sizes and refusals. */

#define ALGORITHM(type, name, driver, flags, iv, block, low, high)		\
	{ .base = { name, driver, flags }, .kind = (type), .iv_size = (iv),	\
	  .block_size = (block), .min_key = (low), .max_key = (high) }

static const struct skcipher_alg algorithms[] = {
	/* A driver behind a wrapper, which comes first as the kernel prefers it. */
	ALGORITHM(FUZZ_SKCIPHER, "xts(aes)", "xts-aes-fuzz", CRYPTO_ALG_ASYNC, 16, 16, 32, 64),
	ALGORITHM(FUZZ_SKCIPHER, "__xts(aes)", "__xts-aes-fuzz", CRYPTO_ALG_INTERNAL,
		  16, 16, 32, 64),
	ALGORITHM(FUZZ_SKCIPHER, "cbc(aes)", "cbc-aes-fuzz", CRYPTO_ALG_ASYNC, 16, 16, 16, 32),
	/* Of something else, in spite of its name. */
	ALGORITHM(FUZZ_SKCIPHER, "__cbc(serpent)", "__cbc-aes-fuzz", CRYPTO_ALG_INTERNAL,
		  16, 16, 16, 32),
	ALGORITHM(FUZZ_SKCIPHER, "cbc(aes)", "cbc-aes-generic", 0, 16, 16, 16, 32),
	ALGORITHM(FUZZ_SKCIPHER, "lrw(aes)", "lrw-aes", 0, 16, 16, 32, 48),
	ALGORITHM(FUZZ_SKCIPHER, "ctr(aes)", "ctr-aes", 0, 16, 1, 16, 32),
	ALGORITHM(FUZZ_SKCIPHER, "ecb(aes)", "ecb-aes", 0, 0, 16, 16, 32),
	ALGORITHM(FUZZ_SKCIPHER, "cbc(des)", "cbc-des", FUZZ_WEAK_ZEROS, 8, 8, 8, 8),
	ALGORITHM(FUZZ_SKCIPHER, "cbc(blowfish)", "cbc-blowfish", 0, 8, 8, 4, 56),
	ALGORITHM(FUZZ_SKCIPHER, "ecb(cipher_null)", "ecb-null", 0, 0, 1, 0, 0),
	ALGORITHM(FUZZ_SKCIPHER, "adiantum(xchacha12,aes)", "adiantum", 0, 32, 16, 32, 32),
	ALGORITHM(FUZZ_SKCIPHER, "rfc3686(ctr(aes))", "rfc3686-aes", 0, 8, 1, 20, 36),
	ALGORITHM(FUZZ_SKCIPHER, "essiv(cbc(aes),sha256)", "essiv-aes", 0, 16, 16, 16, 32),
	/* Sizes that no real cipher has. */
	ALGORITHM(FUZZ_SKCIPHER, "odd(aes)", "odd-aes", 0, 3, 24, 4, 4096),
	ALGORITHM(FUZZ_SKCIPHER, "huge(aes)", "huge-aes", 0, 64, 1024, 4, 64),
	ALGORITHM(FUZZ_AEAD, "gcm(aes)", "gcm-aes", 0, 12, 1, 16, 32),
	ALGORITHM(FUZZ_AEAD, "rfc4106(gcm(aes))", "rfc4106", 0, 8, 1, 20, 36),
	ALGORITHM(FUZZ_AEAD, "authenc(hmac(sha256),xts(aes))", "authenc-xts", 0, 16, 16, 16, 4096),
	ALGORITHM(FUZZ_AEAD, "authenc(hmac(sha256),cbc(aes))", "authenc-cbc", 0, 16, 16, 16, 4096),
	ALGORITHM(FUZZ_AEAD, "authenc(hmac(sha256),ecb(aes))", "authenc-ecb", 0, 0, 16, 16, 4096),
	ALGORITHM(FUZZ_AHASH, "hmac(sha256)", "hmac-sha256", 0, 0, 32, 0, 4096),
	ALGORITHM(FUZZ_AHASH, "crc32", "crc32", 0, 0, 4, 0, 4),
};

static const struct skcipher_alg *find_algorithm(enum fuzz_kind kind, const char *name, u32 type,
						 u32 mask)
{
	size_t i;

	/* Without being asked for, what is behind a wrapper is not found. */
	if (!((type | mask) & CRYPTO_ALG_INTERNAL))
		mask |= CRYPTO_ALG_INTERNAL;
	for (i = 0; i < ARRAY_SIZE(algorithms); i++) {
		const struct crypto_alg *base = &algorithms[i].base;

		if (algorithms[i].kind == kind && !((base->cra_flags ^ type) & mask) &&
		    (!strcmp(name, base->cra_name) || !strcmp(name, base->cra_driver_name)))
			return &algorithms[i];
	}
	return NULL;
}

void *fuzz_alloc_tfm(enum fuzz_kind kind, const char *name, u32 type, u32 mask)
{
	const struct skcipher_alg *alg;
	struct crypto_tfm *tfm;

	if (strnlen(name, CRYPTO_MAX_ALG_NAME) == CRYPTO_MAX_ALG_NAME)
		return ERR_PTR(-ENOENT);
	alg = find_algorithm(kind, name, type, mask);
	if (!alg)
		return ERR_PTR(-ENOENT);
	tfm = kzalloc(sizeof(*tfm), GFP_KERNEL);
	if (!tfm)
		return ERR_PTR(-ENOMEM);
	tfm->alg = alg;
	tfm->__crt_alg = &alg->base;
	return tfm;
}

static unsigned int read_all(const u8 *from, size_t size)
{
	unsigned int sum = 0;

	while (size--)
		sum += *from++;
	return sum;
}

int fuzz_set_key(struct crypto_tfm *tfm, const u8 *key, unsigned int size)
{
	if (size < tfm->alg->min_key || size > tfm->alg->max_key || size % 4)
		return -EINVAL;
	tfm->sum = read_all(key, size);
	return (tfm->alg->base.cra_flags & FUZZ_WEAK_ZEROS) && !tfm->sum ? -EINVAL : 0;
}

/* The first block of CBC over zeros, without the encryption. */
int crypto_skcipher_encrypt(struct skcipher_request *request)
{
	memcpy(request->dst->memory, request->iv, request->size);
	return 0;
}

void crypto_xor_cpy(u8 *to, const u8 *a, const u8 *b, unsigned int size)
{
	while (size--)
		*to++ = *a++ ^ *b++;
}

u32 crc32_le(u32 sum, const u8 *from, size_t size)
{
	return sum + read_all(from, size);
}

int cbulk_aes_set_key(struct fuzz_aes *aes, const u8 *key, unsigned int size)
{
	if (size != 16 && size != 24 && size != 32)
		return -EINVAL;
	aes->sum = read_all(key, size);
	return 0;
}

void aes_encrypt(const struct fuzz_aes *aes, u8 *to, const u8 *from)
{
	memmove(to, from, AES_BLOCK_SIZE);
	*to ^= aes->sum;
}

int cbulk_md5_init(struct cbulk_md5 *md5, char **error)
{
	md5->tfm = kmalloc(1, GFP_KERNEL);
	if (md5->tfm)
		return 0;
	*error = "Error initializing LMK hash";
	return -ENOMEM;
}

void cbulk_md5_exit(struct cbulk_md5 *md5)
{
	kfree(md5->tfm);
}

int cbulk_md5_whole_blocks(const struct cbulk_md5 *md5, const struct kvec *parts, unsigned int nr,
			   u8 *hash)
{
	unsigned int sum = 0;
	size_t size = 0;

	for (; nr--; parts++) {
		sum += read_all(parts->iov_base, parts->iov_len);
		size += parts->iov_len;
	}
	FUZZ_CHECK(size % 64 == 0, "a hash of a part of a block");
	memset(hash, sum, MD5_DIGEST_SIZE);
	return 0;
}

struct key_type key_type_logon = { "logon" };
struct key_type key_type_user = { "user" };
struct key_type key_type_encrypted = { "encrypted" };
struct key_type key_type_trusted = { "trusted" };

/* The payloads differ in how they say their size. */
static void *make_payload(const struct key_type *type, unsigned int size, u8 *data)
{
	const struct user_key_payload user = { .datalen = size, .data = data };
	const struct trusted_key_payload trusted = { .key_len = size, .key = data };
	const bool is_trusted = type == &key_type_trusted;
	const size_t bytes = is_trusted ? sizeof(trusted) : sizeof(user);
	void *payload = malloc(bytes);

	FUZZ_CHECK(payload, "out of memory");
	return memcpy(payload, is_trusted ? (const void *)&trusted : &user, bytes);
}

/* Not with kmalloc(): these keys were there before. */
void *request_key(const struct key_type *type, const char *description, const char *info)
{
	struct key *key = calloc(1, sizeof(*key));
	size_t prefix = str_has_prefix(description, "fz:");
	unsigned int size;
	u8 *data;

	FUZZ_CHECK(key, "out of memory");
	fuzz.objects++;
	if (prefix && !strcmp(description + prefix, "revoked"))
		return key;
	size = prefix ? strtoul(description + prefix, NULL, 10) : 0;
	if (!size || size > 4096) {
		key_put(key);
		return ERR_PTR(-ENOKEY);
	}
	data = malloc(size);
	FUZZ_CHECK(data, "out of memory");
	memset(data, 'k', size);
	key->payload.data[0] = make_payload(type, size, data);
	return key;
}

void key_put(struct key *key)
{
	struct user_key_payload *payload = key->payload.data[0];

	FUZZ_CHECK(!key->sem.held, "a key is given back while it is locked");
	if (payload)
		free(payload->data);
	free(payload);
	free(key);
	fuzz.objects--;
}
