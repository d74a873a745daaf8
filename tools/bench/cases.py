# SPDX-License-Identifier: GPL-2.0-only
"""What is measured: ciphers, options, and the matrix made of them."""

import os
import re
from dataclasses import dataclass
from itertools import product

from .system import UsageError

CIPHERS = {
    "cipher_null": "cipher_null-ecb@0",
    "aes-xts": "aes-xts-plain64@512",
}

FLAGS = {
    "default": (),
    "bypass": ("no_read_workqueue", "no_write_workqueue", "submit_from_crypt_cpus"),
}


@dataclass(frozen=True)
class Cipher:
    name: str
    spec: str
    key_bits: int

    def new_key(self):
        return os.urandom(self.key_bits // 8).hex() if self.key_bits else "-"


@dataclass(frozen=True)
class Flags:
    name: str
    words: tuple


@dataclass(frozen=True)
class Setup:
    """What the mappings of all arms are made with. max_write is in bytes, or None for what the
    modules do by themselves."""

    cipher: Cipher
    sector_size: int
    flags: Flags
    max_write: int | None = None

    def options(self):
        size = () if self.sector_size == 512 else (f"sector_size:{self.sector_size}",)
        return self.flags.words + size

    def __str__(self):
        text = f"{self.cipher.name}, {self.sector_size} B sectors, {self.flags.name} options"
        if self.max_write is not None:
            text += f", writes of {self.max_write // 1024} KiB at most"
        return text


@dataclass(frozen=True)
class Load:
    """What is run on both."""

    rw: str
    bs: str
    iodepth: int

    @property
    def writes(self):
        return self.rw.endswith("write")

    def __str__(self):
        return f"{self.rw} {self.bs} QD {self.iodepth}"


def parse_cipher(text):
    """A name of CIPHERS, or SPEC@KEYBITS; specs may contain colons and parentheses."""
    spec, at, bits = CIPHERS.get(text, text).rpartition("@")
    if not at or not bits.isdigit() or int(bits) % 8 or re.search(r"\s", spec):
        raise UsageError(
            f'--ciphers: "{text}" is none of {", ".join(CIPHERS)} and not like '
            "aes-xts-plain64@512 (specification of dm-crypt, key bits)"
        )
    return Cipher(text if text in CIPHERS else spec, spec, int(bits))


def parse_flags(text):
    """A name of FLAGS, or options joined by plus signs."""
    words = FLAGS[text] if text in FLAGS else tuple(text.split("+"))
    for word in words:
        if not re.fullmatch(r"[a-z0-9_:.()-]+", word) or word.startswith("sector_size"):
            raise UsageError(
                f'--flags: "{text}" is none of {", ".join(FLAGS)} and not like '
                "no_write_workqueue+submit_from_crypt_cpus"
            )
    return Flags(text, words)


def setups(ciphers, sector_sizes, flags, max_writes):
    return [Setup(*each) for each in product(ciphers, sector_sizes, flags, max_writes)]


def part_of(items, text):
    """The part I of N of a list, in its order, for text I/N."""
    match = re.fullmatch(r"([1-9]\d?)/([1-9]\d?)", text)
    if not match or int(match[1]) > int(match[2]):
        raise UsageError(f'--part: "{text}" is not like 1/2')
    index, parts = int(match[1]), int(match[2])
    return items[len(items) * (index - 1) // parts:len(items) * index // parts]


def parse_max_write(text):
    """Bytes, or None for "default"."""
    if text == "default":
        return None
    match = re.fullmatch(r"([1-9]\d*)([KkMm])", text)
    if not match:
        raise UsageError(f'--max-write-size: "{text}" is not default or a size like 128K or 1M')
    return int(match[1]) << {"k": 10, "m": 20}[match[2].lower()]


def loads(rws, sizes, depths):
    return [Load(*each) for each in product(rws, sizes, depths)]
