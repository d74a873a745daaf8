# SPDX-License-Identifier: GPL-2.0
"""Table lines without end: every cipher, mode and IV mode with every setting, and what is wrong.

A line is the text that follows the target's name, with a word in place of the device: DEV is a
plain device, DIF:16:512 one that keeps 16 bytes of metadata for each 512 bytes of data.  Nothing
here asks what a target makes of a line; most lines of crossed() are good, most of broken() are not,
and those of mutated() are what a seed makes of the others.
"""

import itertools
import re
import string

import cases
import kernel

# Sectors of a mapping, and of the devices below it.
SECTORS = 128
DEVICE_SECTORS = 2048

# Cipher: bytes of a block, of keys, and a hash whose digest is a key (essiv).
CIPHERS = {
    "aes": (16, (16, 24, 32), "sha256"),
    "serpent": (16, (16, 24, 32), "sha256"),
    "twofish": (16, (16, 24, 32), "sha256"),
    "camellia": (16, (16, 24, 32), "sha256"),
    "cast6": (16, (16, 32), "sha256"),
    "sm4": (16, (16,), "md5"),
    "cast5": (8, (8, 16), "md5"),
    "blowfish": (8, (16, 32), "sha1"),
    "des3_ede": (8, (24,), "tgr192"),
    "des": (8, (8,), "md5"),
}
MODES = ("ecb", "cbc", "ctr", "lrw", "xts", "pcbc")
IV_MODES = ("plain", "plain64", "plain64be", "null", "essiv", "benbi", "eboiv", "lmk", "tcw",
            "elephant")
FLAGS = ("allow_discards", "same_cpu_crypt", "high_priority", "submit_from_crypt_cpus",
         "no_read_workqueue", "no_write_workqueue")

# What only the crypto API's notation can name: algorithm, sizes of keys, bytes of its IV.
COMPOSED = (
    ("adiantum(xchacha12,aes)", (32,), 32), ("adiantum(xchacha20,aes)", (32,), 32),
    ("adiantum(xchacha12,serpent)", (32,), 32), ("hctr2(aes)", (16, 32), 32),
    ("xctr(aes)", (16, 32), 16), ("cts(cbc(aes))", (16, 32), 16), ("cts(cbc(serpent))", (32,), 16),
    ("chacha20", (32,), 16), ("xchacha20", (32,), 32), ("xchacha12", (32,), 32),
    ("rfc3686(ctr(aes))", (20, 36), 8), ("ofb(aes)", (16, 32), 16), ("cfb(aes)", (16, 32), 16),
    (f"cryptd(cbc({kernel.AES}))", (32,), 16), (f"cryptd(xts(ecb({kernel.AES})))", (64,), 16),
    (f"xts(ecb({kernel.AES}))", (64,), 16), (f"cbc({kernel.AES})", (16,), 16),
    ("essiv(cbc(aes),sha256)", (32,), 16),
)
# Authenticated encryption: algorithm, sizes of keys, bytes of its IV and of its tag.
AUTHENTICATED = (
    ("gcm(aes)", (16, 32), 12, 16), ("rfc7539(chacha20,poly1305)", (32,), 12, 16),
    ("authenc(hmac(sha256),xts(aes))", (64, 96), 16, 32),
    ("authenc(hmac(sha256),cbc(aes))", (48, 64), 16, 32),
    ("authenc(hmac(sha256),ctr(aes))", (64,), 16, 32),
    ("authenc(hmac(sha1),cbc(serpent))", (52,), 16, 20),
    ("authenc(hmac(sha512),xts(serpent))", (128,), 16, 64),
    ("aegis128-generic", (16,), 16, 16), ("rfc4106(gcm(aes))", (20,), 8, 16),
)
KEYRING_SIZES = (16, 24, 32, 48, 64, 96, 1040)

_IV_OFFSETS = (0, 8, (1 << 32) - 64, 0x1_2345_6788, (1 << 64) - 64, 64, (1 << 56) - 8)
_OFFSETS = (0, 8, 40, 1, 63)


class Settings:
    """What a line has beside its cipher: each list at its own pace, so that all pairs come up."""

    def __init__(self):
        sizes = [[f"sector_size:{size}"][:size > 512] + ["iv_large_sectors"] * large
                 for size in (512, 4096, 1024, 2048) for large in (False, True)]
        flags = [[], [], [], FLAGS[:1], FLAGS[1:2], FLAGS[3:4], FLAGS[4:5], FLAGS[5:6],
                 FLAGS[4:6], FLAGS[:2], FLAGS[3:6]]
        self._sizes = itertools.cycle(sizes)
        self._flags = itertools.cycle(flags)
        self._iv_offsets = itertools.cycle(_IV_OFFSETS)
        self._offsets = itertools.cycle(_OFFSETS)
        self._keys = itertools.cycle((_plain, _plain, _plain, _plain, _upper, _plain, _plain,
                                      _plain, _plain, _logon, _plain, _plain, _user))

    def line(self, cipher, key_size, device="DEV", options=(), small=False):
        """The next line for this cipher; small: in sectors of 512 bytes."""
        sizes = next(self._sizes)
        if small or any(word.startswith("sector_size") for word in options):
            sizes = sizes[:0]
        words = [*next(self._flags), *options, *sizes]
        offset = next(self._offsets)
        if device != "DEV":
            offset &= ~7
        return cases.line(cipher, next(self._keys)(key_size), next(self._iv_offsets), device,
                          offset, words)


def _plain(size):
    return cases.key(size)


def _upper(size):
    return cases.key(size).upper()


def _logon(size):
    return f":{size}:logon:dcb:k{size}" if size in KEYRING_SIZES else _plain(size)


def _user(size):
    return f":{size}:user:dcb:k{size}" if size in KEYRING_SIZES else _plain(size)


def _key_sizes(cipher, mode, iv):
    """Sizes of keys that suit, with what the IV mode needs beside the cipher."""
    block, bases, _ = CIPHERS[cipher]
    for base in bases:
        size = base * 2 if mode == "xts" else base + block if mode == "lrw" else base
        if iv == "lmk":
            yield size * 64
            # The seed is the first 16 bytes of one key more.
            if mode != "ecb" and size >= 16:
                yield size * 65
        elif iv == "tcw" and mode != "ecb":
            yield size + block + 16
        elif iv == "elephant" and mode != "ecb":
            yield size * 2
        else:
            yield size


def _both_notations(cipher, mode, iv):
    option = f"essiv:{CIPHERS[cipher][2]}" if iv == "essiv" else iv
    count = ":64" if iv == "lmk" else ""
    yield f"{cipher}{count}-{mode}-{option}"
    yield f"capi:{mode}({cipher})-{option}"


def _ciphers(settings):
    for cipher, mode, iv in itertools.product(CIPHERS, MODES, IV_MODES):
        for text in _both_notations(cipher, mode, iv):
            for size in _key_sizes(cipher, mode, iv):
                yield settings.line(text, size, small=iv in ("lmk", "tcw"))
    for algorithm, sizes, iv_size in COMPOSED:
        for size, iv in itertools.product(sizes, IV_MODES):
            if iv in ("lmk", "tcw", "elephant") or iv_size == 32 and iv == "essiv":
                continue
            option = "essiv:sha256" if iv == "essiv" else iv
            yield settings.line(f"capi:{algorithm}-{option}", size)


def _counts(settings):
    """Several keys, and the IV modes that came with them."""
    for count, iv in itertools.product((1, 2, 4, 8, 16, 32, 64),
                                       ("plain64", "essiv:sha256", "benbi", "eboiv", "null")):
        yield settings.line(f"aes:{count}-cbc-{iv}", 32 * count)
        yield settings.line(f"serpent:{count}-xts-{iv}", 64 * count)
    for count in ("01", "+2", "", "3", "0", "x", "2x", "-2", " 2", "128", "1:2"):
        yield settings.line(f"aes:{count.replace(' ', chr(92) + ' ')}-cbc-plain64", 64)
    for count in (1, 2, 4, 32, 64):
        for size in (16, 32):
            for keys in (count, count + 1):
                yield settings.line(f"aes:{count}-cbc-lmk", size * keys, small=True)
            yield settings.line(f"aes:{count}-cbc-tcw", size * count + 32, small=True)
            yield settings.line(f"aes:{count}-cbc-elephant", size * count * 2)
    yield settings.line("capi:adiantum(xchacha12,aes)-lmk", 2048, small=True)
    yield settings.line("capi:adiantum(xchacha12,aes)-tcw", 80, small=True)
    yield settings.line("aes:64-cbc-lmk", 1040)
    yield settings.line("aes:64-cbc-lmk", 1040, options=["sector_size:4096"])
    yield settings.line("aes-cbc-tcw", 48, options=["sector_size:1024"])
    for digest in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "rmd160",
                   "wp256", "crc32", "hmac(sha256)", "blake2b-256", "streebog256", "sm3"):
        for cipher in ("aes-cbc", "capi:cbc(aes)", "blowfish-cbc", "aes-xts"):
            yield settings.line(f"{cipher}-essiv:{digest}", 32)


def _options(settings):
    """All sets of flags, and options in other orders, cases and numbers."""
    for chosen in itertools.product((False, True), repeat=len(FLAGS)):
        words = [word for word, wanted in zip(FLAGS, chosen) if wanted]
        for more in ([], ["sector_size:4096"], ["iv_large_sectors", "sector_size:2048"]):
            yield cases.line("aes-xts-plain64", cases.key(64), 64, "DEV", 8, (words + more)[::-1])
    base = f"aes-cbc-plain64 {cases.key(32)} 8 DEV 8"
    for word in (*FLAGS, "iv_large_sectors"):
        for form in (word.upper(), word.title(), word.swapcase(), f"{word} {word}"):
            yield f"{base} {len(form.split())} {form}"
    for tail in ("0", "0 trailing", "1 allow_discards trailing words", "00", "01 allow_discards",
                 "+1 allow_discards", "2 sector_size:4096 sector_size:1024",
                 "2 sector_size:1024 sector_size:512", "1 sector_size:0512",
                 "1 sector_size:\\ 512", "2 integrity_key_size:32 allow_discards",
                 "1 integrity_key_size:032", "1 integrity_key_size:4294967295",
                 "1 integrity:16:none", "1 integrity:16:NONE", "1 integrity:480:none",
                 "1 integrity:016:none", "1 integrity:1:none",
                 "2 integrity:8:none integrity:9:none",
                 "9 " + " ".join((*FLAGS, "iv_large_sectors", "sector_size:4096",
                                  "allow_discards")),
                 "8 " + " ".join(("same_cpu_crypt",) * 8),
                 "9 " + " ".join(("same_cpu_crypt",) * 9)):
        yield f"{base} {tail}"
    for iv_offset, size in itertools.product(("0", "8", "00", "0008", "18446744073709551608",
                                              "4294967288", "9223372036854775808", "+8", "\\ 8"),
                                             (512, 1024, 4096)):
        yield f"aes-xts-plain64 {cases.key(64)} {iv_offset} DEV 0 1 sector_size:{size}"
        yield f"aes-cbc-benbi {cases.key(16)} {iv_offset} DEV 0{iv_offset.strip('+ ')[-2:]}"


def _odd_ciphers(settings):
    """Notations that are seldom seen."""
    for cipher in ("aes", "aes-plain", "aes-plain-plain64", "aes-cbc-plain-more", "aes--plain",
                   "aes-cbc-plain64:ignored", "aes-cbc-plain:", "aes-ecb", "aes-ecb-nosuch", "-",
                   "serpent", "twofish-plain", "aes:2", "aes:2-ecb", "capi:ecb(aes)",
                   "capi:ecb(aes)-nosuch", "capi:cbc(aes)-plain:x", "capi:cbc(aes)-essiv:",
                   "aes-cbc-essiv:", "CAPI:cbc(aes)-plain", "aes-cbc-PLAIN", "AES-cbc-plain",
                   "capi:cbc(aes)", "capi:ctr(aes)", "capi:cts(cbc(aes))", "capi:pcbc(serpent)",
                   "capi:cbc(aes)-", "aes-cbc-", "aes-", "aes-ecb-", "capi:cbc-aes-aesni-plain",
                   "capi:cbc-aes-aesni", "capi:ecb-aes-aesni", "capi:ecb-aes-aesni-null",
                   f"capi:ctr({kernel.AES})-plain64:", "aes\\-cbc-plain", "capi:ecb(aes)-lmk",
                   "capi:cbc(aes)-random", "aes-cbc-random", "aes-cbc-plain64:a:b-c"):
        for size in (16, 32, 64):
            yield settings.line(cipher, size)
    for cipher in ("cipher_null-ecb", "cipher_null-ecb-null", "capi:ecb(cipher_null)",
                   "cipher_null", "cipher_null-cbc-plain64", "cipher_null:2-ecb",
                   "cipher_null:64-ecb", "cipher_null:128-ecb", "capi:ecb(cipher_null)-plain",
                   "ecb-cipher_null"):
        for size in (0, 0, 0, 16):
            yield settings.line(cipher, size)


def _integrity(settings):
    """With metadata: random IVs, and authenticated encryption."""
    for size in (512, 4096):
        sector = [f"sector_size:{size}"][:size > 512]
        for cipher, key, iv_size in (("aes-cbc", 32, 16), ("aes-xts", 64, 16), ("aes-ctr", 16, 16),
                                     ("capi:xts(aes)", 32, 16), ("serpent-cbc", 32, 16),
                                     ("capi:adiantum(xchacha12,aes)", 32, 32),
                                     ("blowfish-cbc", 16, 8), ("aes:2-cbc", 32, 16),
                                     ("capi:cbc(aes)", 16, 16), ("twofish-xts", 48, 16)):
            for tag in (iv_size, iv_size + 16):
                for device in (f"DIF:{tag}:{size}", f"DIF:{iv_size}:{size}"):
                    yield settings.line(f"{cipher}-random", key, device,
                                        [f"integrity:{tag}:none", *sector], size == 512)
        for algorithm, keys, iv_size, tag in AUTHENTICATED:
            for key, (iv, more) in itertools.product(
                    keys, (("random", iv_size), ("plain64", 0), ("null", 0), ("plain64be", 0))):
                for words in ([], [f"integrity_key_size:{tag}"] * algorithm.startswith("authenc")):
                    yield settings.line(f"capi:{algorithm}-{iv}", key, f"DIF:{tag + more}:{size}",
                                        [f"integrity:{tag + more}:aead", *words, *sector],
                                        size == 512)
        for algorithm in ("authenc(hmac(sha256),ecb(aes))", "authenc(hmac(nosuch),xts(aes))"):
            for key in (64, 96):
                yield settings.line(f"capi:{algorithm}-null", key, f"DIF:32:{size}",
                                    ["integrity:32:aead", *sector], size == 512)
        for iv in ("essiv:sha256", "benbi", "eboiv", "lmk", "elephant", "nosuch", ""):
            for algorithm, key in (("gcm(aes)", 32), ("authenc(hmac(sha256),xts(aes))", 96),
                                   ("authenc(hmac(sha256),cbc(aes))", 64)):
                yield settings.line(f"capi:{algorithm}-{iv}".rstrip("-"), key, f"DIF:32:{size}",
                                    ["integrity:32:aead", *sector], size == 512)


def crossed():
    """Ciphers, settings and options against each other; good lines mostly."""
    settings = Settings()
    for part in (_ciphers, _counts, _options, _odd_ciphers, _integrity):
        yield from part(settings)
    for kind, size in itertools.product(("user", "logon", "encrypted"), KEYRING_SIZES):
        for cipher in ("aes-xts-plain64", "aes-cbc-essiv:sha256", "serpent-xts-plain64",
                       "capi:cbc(aes)-benbi", "aes:2-cbc-plain64", "aes-cbc-tcw",
                       "aes:64-cbc-lmk", "aes-cbc-elephant"):
            yield settings.line(cipher, 0, small=True).replace(
                " - ", f" :{size}:{kind}:dcb:k{size} ", 1)


# (cipher, bytes of its key): lines to break in every way; small sectors, as lmk and tcw want.
BREAKABLE = (
    ("aes-xts-plain64", 64), ("aes-xts-plain64", 32), ("aes-cbc-essiv:sha256", 32),
    ("aes-cbc-plain", 16), ("aes-cbc-benbi", 24), ("aes:2-cbc-plain64", 64), ("aes-ecb", 32),
    ("aes-lrw-benbi", 32), ("serpent-xts-plain64be", 64), ("twofish-cbc-eboiv", 32),
    ("blowfish-cbc-plain64", 32), ("capi:xts(aes)-plain64", 64), ("capi:cbc(aes)-essiv:sha256", 16),
    ("capi:adiantum(xchacha12,aes)-plain64", 32), ("aes:64-cbc-lmk", 1024),
    ("aes:64-cbc-lmk", 1040), ("aes-cbc-tcw", 48), ("aes-cbc-elephant", 64),
    ("aes-cbc-random", 32), ("camellia-ctr-null", 32), ("cipher_null-ecb", 0),
)


def _bad_keys(size):
    good = cases.key(size)
    # A ring's key of the size that is named, so that only one thing is wrong.
    held = size if size in KEYRING_SIZES else 32
    yield from ("-", "x", "--", ":", "::", ":32", ":32:", "0", good[:-1] + "g", "0x" + good,
                good[:-2], good + "00", good + good, "g" + good[1:], good[:-2] + "\\ \\ ",
                good[:size] or "-0", good + "0", good + "z", "-" + good)
    for form in (":{0}:logon", ":{0}:logon:", ":{0}:", ":{0}::", ":{0}:nosuch:dcb:k{0}",
                 ":{0}:logon:dcb:missing", ":{0}:user:dcb:missing", ":{0}:user:dcb:revoked",
                 ":{0}:logon:dcb:revoked", ":{0}:user:dcb:short", ":{0}:logon:nocolon",
                 ":{0}:encrypted:dcb:missing", ":{0}:trusted:dcb:k{0}", ":{0}:keyring:dcb:k{0}",
                 ":{0}x:user:dcb:k{0}", ":x:user:dcb:k{0}", ":-{0}:user:dcb:k{0}",
                 ":{0}:User:dcb:k{0}", ":{0}:user:dcb\\ k{0}", ":0:user:dcb:k{0}",
                 ": {0}:user:dcb:k{0}", "{0}:user:dcb:k{0}", ":{0}:use:dcb:k{0}",
                 ":{0}:logon\\::dcb:k{0}", ":2147483648:user:dcb:k{0}",
                 ":4294967295:user:dcb:k{0}", ":0{0}:user:dcb:k{0}", ":+{0}:user:dcb:k{0}",
                 ":{0} user:dcb:k{0}"):
        yield form.format(held)
    wrong = 24 if held == 32 else 32
    yield f":{held}:user:dcb:k{wrong}"
    yield f":{wrong}:user:dcb:k{held}"
    yield f":{wrong}:logon:dcb:k{wrong}"
    yield f":{(1 << 32) + held}:user:dcb:k{held}"


_BAD_NUMBERS = ("x", "-1", "-0", "1x", "0x10", "1.0", "", "18446744073709551616",
                "36893488147419103240", "1\\ ", "8,8", "99999999999999999999999", "DEV")
_BAD_DEVICES = ("/dev/nosuch", "999:999", "/dev/null", "/proc/self/exe", "/", "nosuch", "0:0",
                ":", "x:y")
_BAD_TAILS = (
    "x", "-1", "99", "10", "1", "2 allow_discards", "1 nosuch", "1 allow_discard",
    "1 allow_discardss", "2 same_cpu_crypt nosuch", "1 sector_size", "1 sector_size:0",
    "1 sector_size:256", "1 sector_size:513", "1 sector_size:1536", "1 sector_size:8192",
    "1 sector_size:65536", "1 sector_size:", "1 sector_size:x", "1 sector_size:-512",
    "1 sector_size:512x", "1 SECTOR_SIZE:512", "1 Sector_Size:4096", "1 sector_size:0x200",
    "1 sector_size:66048", "1 sector_size:69632", "1 sector_size=512", "1 sector_size:\\ 4096x",
    "1 iv_large_sectors:1", "1 iv_large_sector", "1 integrity::none", "1 integrity:0:none",
    "1 integrity:481:none", "1 integrity:16:nosuch", "1 integrity:16:", "1 integrity:x:none",
    "1 integrity:-1:none", "1 integrity:16:none:more", "1 INTEGRITY:16:none", "1 integrity",
    "1 integrity:16:aead", "1 integrity:28:AEAD", "2 integrity:16:aead integrity:16:none",
    "1 integrity:4294967312:none", "1 integrity:16x:none", "1 integrity:16\\ :none",
    "1 integrity_key_size:0", "1 integrity_key_size:", "1 integrity_key_size:x",
    "1 integrity_key_size:32x", "1 integrity_key_size:-32", "1 integrity_key_size",
    "1 integrity_key_size:4294967296", "1 INTEGRITY_KEY_SIZE:32", "0x1 allow_discards",
    "1x allow_discards", "1\\ allow_discards", "4294967297 allow_discards", "1 \\", "1 :", "1 -",
    "3 allow_discards same_cpu_crypt", "1 sector_size:1024\\", "1 high_priority:1",
    "1 integrity:16:none\\ ", "1 no_read_workqueue,no_write_workqueue", "1 no_workqueue",
)


def broken():
    """Good lines with one fault each, in turn over all of BREAKABLE; then several faults."""
    for cipher, size in BREAKABLE:
        key = cases.key(size)
        for bad in _bad_keys(size):
            yield f"{cipher} {bad} 0 DEV 0"
        for number in _BAD_NUMBERS:
            if number:
                yield f"{cipher} {key} {number} DEV 0"
                yield f"{cipher} {key} 0 DEV {number}"
        for device in _BAD_DEVICES:
            yield f"{cipher} {key} 0 {device} 0"
        for tail in _BAD_TAILS:
            yield f"{cipher} {key} 0 DEV 0 {tail}"
        for start in (DEVICE_SECTORS - SECTORS + 1, DEVICE_SECTORS, 1 << 32, (1 << 64) - 1):
            yield f"{cipher} {key} 0 DEV {start}"
        for size in (1024, 2048, 4096):
            yield f"{cipher} {key} {size // 1024} DEV 0 1 sector_size:{size}"
        yield f"{cipher} {key} 0 DEV"
        yield f"{cipher}x {key} 0 DEV 0"
        yield f"x{cipher} {key} 0 DEV 0"
        yield f"{cipher}\\  {key} 0 DEV 0"
        yield f"{cipher.rpartition('-')[0]}-nosuch {key} 0 DEV 0"
        yield f"{cipher} {key} x /dev/nosuch x 1 nosuch"
        yield f"{cipher} zz x DEV x"
    yield "aes-xts-plain64"
    yield "\\"


_NUMBERS = ("0", "1", "7", "8", "64", "511", "512", "4096", "65536", "4294967295", "4294967296",
            "9223372036854775807", "18446744073709551615", "18446744073709551616", "-1", "007")
_ALPHABET = string.ascii_lowercase + string.digits + ":-(),_ \\/.%+AXZ"
_PIECES = ("capi:", "essiv(", "cbc(", "xts(", ")", "aes", "serpent", "plain64", "-random", "-lmk",
           "essiv:sha256", ":64", ":2", "sector_size:", "integrity:", ":none", ":aead", "-tcw",
           "cipher_null", "ecb", "user:", "logon:", "gcm(aes)", "iv_large_sectors", "null")


def _change_text(rng, text):
    """One small change inside of a word."""
    at = rng.randrange(len(text) + 1)
    kind = rng.randrange(6)
    if kind == 0:
        return text[:at] + text[at + 1:]
    if kind == 1:
        return text[:at] + rng.choice(_ALPHABET) + text[at:]
    if kind == 2:
        return text[:at] + rng.choice(_ALPHABET) + text[at + 1:]
    if kind == 3:
        return text[:at] + rng.choice(_PIECES) + text[at:]
    if kind == 4:
        return text[:at] + text[at:at + 8].swapcase() + text[at + 8:]
    return text[:at] + text[rng.randrange(len(text) + 1):]


def _change_number(rng, text):
    """Another number in the place of one of the word's numbers."""
    found = [match for match in re.finditer(r"\d+", text) if len(match[0]) < 12]
    if not found:
        return _change_text(rng, text)
    match = rng.choice(found)
    return text[:match.start()] + rng.choice(_NUMBERS) + text[match.end():]


def _mutate(rng, line, other):
    """The line with one to three changes, some of which take words out of another line."""
    words, donor = line.split(" "), other.split(" ")
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(words))
        kind = rng.randrange(10)
        # A device stays itself, or is another one's.
        if kind < 3 and not words[at].startswith("D"):
            words[at] = _change_text(rng, words[at])
        elif kind < 5 and not words[at].startswith("D"):
            words[at] = _change_number(rng, words[at])
        elif kind == 5:
            words[at:at + 1] = [words[at]] * 2
        elif kind == 6 and len(words) > 1:
            del words[at]
        elif kind == 7:
            to = rng.randrange(len(words))
            words[at], words[to] = words[to], words[at]
        elif at < len(donor):
            words[at] = donor[at]
        else:
            words.append(rng.choice(_BAD_TAILS).split(" ")[-1])
    return " ".join(words)


def mutated(rng, pool):
    """Changed lines of a pool, for ever."""
    while True:
        yield _mutate(rng, rng.choice(pool), rng.choice(pool))


def _words_at_random(rng):
    """A line that was never a good one."""
    words = [rng.choice((*_PIECES, *_NUMBERS, *_BAD_TAILS, "DEV", "-", cases.key(32)))
             for _ in range(rng.randrange(1, 9))]
    if rng.randrange(2):
        words[:5] = [rng.choice(BREAKABLE)[0], cases.key(32), rng.choice(_NUMBERS), "DEV", "0"]
    return " ".join(words)


def wild(rng, pool):
    """Lines without end, changed so often that few of a pool's lines stay good; for ever."""
    while True:
        line = _words_at_random(rng) if not rng.randrange(8) else rng.choice(pool)
        for _ in range(rng.choice((1, 1, 2, 4))):
            line = _mutate(rng, line, rng.choice(pool))
        yield line


def messages(rng, good, bad):
    """Messages without end to a mapping that takes the good ones: most are changed; for ever."""
    while True:
        text = rng.choice(good if rng.randrange(2) else bad)
        for _ in range(rng.choice((0, 1, 1, 2))):
            text = _mutate(rng, text, rng.choice(good + bad))
        # What begins so is for device-mapper itself.
        if not text.lstrip().startswith("@"):
            yield text


def _hostile_integrity(cipher, key, tail):
    if any(re.fullmatch(r"integrity:[^:]*", word) for word in tail):
        return "stock looks for a colon that is not there"
    if not any(re.match(r"integrity:.*:aead$", word, re.I) for word in tail):
        return None
    if not cipher.startswith("capi:authenc(") and \
            any(word.startswith("integrity_key_size:") for word in tail):
        return "stock splits a key for authenc and has no room for it"
    if "tcw" in cipher and len(key) < 192:
        return "stock takes more off the key than there is"
    if re.search(r"-lmk(:|$)", cipher):
        return "stock looks for as many ciphers as lmk has keys, and has one"
    return None


def hostile(line):
    """Why stock must not see the line: it crashes on it, or warns of an allocation; or None."""
    words = [word for word in re.sub(r"\\(.)", r"\1", line).split(" ") if word]
    if len(words) < 5:
        return None
    cipher, key, tail = words[0], words[1], words[5:]
    count = re.match(r"[^-]*?:\s*\+?(\d+)", cipher)
    if count and not cipher.startswith("capi:") and 256 < int(count[1]) % (1 << 32):
        return "stock allocates as many ciphers as the line says"
    size = re.match(r":\s*\+?(\d+)", key)
    if size and 4096 < int(size[1]) % (1 << 32) < 1 << 31:
        return "stock allocates a key as long as the line says"
    return _hostile_integrity(cipher, key, tail)


# One for each reason, on which crypt-bulk alone is tried.
HOSTILE = (
    f"aes-cbc-plain64 {cases.key(32)} 0 DEV 0 1 integrity:16",
    f"capi:gcm(aes)-random {cases.key(32)} 0 DIF:28:512 0 "
    "2 integrity:28:aead integrity_key_size:16",
    f"capi:authenc(hmac(sha256),cbc(aes))-tcw {cases.key(16)} 0 DIF:32:512 0 1 integrity:32:aead",
    f"capi:authenc(hmac(sha256),cbc(aes))-lmk {cases.key(64)} 0 DIF:32:512 0 1 integrity:32:aead",
    f"aes:2147483648-cbc-plain64 {cases.key(32)} 0 DEV 0",
    "aes-xts-plain64 :2147483647:user:dcb:k64 0 DEV 0",
)
# Some that stock of Linux 6.1 takes, and does not survive a write to.
HOSTILE_LIVE = (
    f"aes-cbc-plain64 {cases.key(32)} 0 DEV 0 1 integrity:16:none",
    f"aes-xts-plain64 {cases.key(64)} 0 DEV 0 2 integrity:480:none sector_size:4096",
)


def distinct(*sources):
    """Each line once, and none that stock must not see."""
    seen = set()
    for line in itertools.chain(*sources):
        if line not in seen:
            seen.add(line)
            if not hostile(line):
                yield line
