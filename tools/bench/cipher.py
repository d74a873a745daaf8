# SPDX-License-Identifier: GPL-2.0-only
"""What the cipher alone costs: measured by the test module cipher-cost, which calls the kernel's
crypto API and nothing else."""

import re

from .arms import parameter_path
from .system import BenchError, load_module, unload_module

MODULE = "cipher-cost"


def cost(cipher, sector_size, encrypt):
    """Nanoseconds for a MiB: in requests as large as possible ("whole"), and in one request for
    each encryption sector ("by_sector"). Encryption is from one buffer to another, as a write's
    is; decryption is in place, as a read's is."""
    return {
        "whole": _measure(cipher, 0, encrypt),
        "by_sector": _measure(cipher, sector_size, encrypt),
    }


def _measure(cipher, unit, encrypt):
    parameters = (
        f"algorithm={algorithm(cipher.spec)}", f"key_size={cipher.key_bits // 8}",
        f"unit={unit}", f"encrypt={encrypt:d}",
    )
    if not load_module(MODULE, *parameters):
        raise BenchError(
            f"--floor: the test module {MODULE} does not load ({' '.join(parameters)}); "
            "it is built from tests/modules"
        )
    try:
        path = parameter_path("cipher_cost", "ns_per_mib")
        with open(path, encoding="ascii") as file:
            return int(file.read())
    finally:
        unload_module(MODULE)


def algorithm(spec):
    """The crypto API's name for dm-crypt's CIPHER-CHAINMODE-IV or capi:NAME-IV."""
    if spec.startswith("capi:"):
        return spec[len("capi:"):].rpartition("-")[0]
    match = re.fullmatch(r"([a-z0-9_]+)-([a-z0-9_]+)(-.*)?", spec)
    if not match:
        raise BenchError(f"--floor: no name of the crypto API is known for {spec}")
    return f"{match[2]}({match[1]})"
