# SPDX-License-Identifier: GPL-2.0
"""Where crypt-bulk is meant to differ from stock: one rule for each part of docs/differences.md.

A rule is narrow: it names the lines, what stock says of them and what crypt-bulk says.  The suite
fails on a difference without a rule, on a rule without a difference, and on a rule without its
heading in the document.
"""

import collections
import errno
import re

# heading: of docs/differences.md; line: what is found in the line; stock, bulk: all of what the
# targets say, as say() in the suite writes it; before: only where stock is older than that version;
# since: only where it is not.
Rule = collections.namedtuple("Rule", "heading line stock bulk before since",
                              defaults=(None, (0, 0, 0)))

_ACCEPTED = "accepted"

_TOO_LARGE = "Numbers that do not fit are refused"
_BLANKS = "Numbers begin with a digit"
_NO_IV = "A cipher that takes an IV needs an IV mode"
_COUNT = "The number of keys is bounded"
_NEW_OPTIONS = "Options are known on every kernel"
_BAD_NUMBER = "A bad number in an option is called one"
_MORE = "Nothing follows the size of the metadata"
_REASON = "The reason why an IV mode does not suit is told"
_LONG_IV = "Loop-AES and TrueCrypt have IVs of at most 16 bytes"
_NOT_AUTHENTICATED = "An authenticated cipher needs an IV"
_MAC = "A MAC that does not exist is not a lack of memory"
_BAD_SECTOR_SIZE = "EINVAL Invalid feature value for sector_size"
_BAD_COUNT = "EINVAL Bad cipher key count specification"
# crypt-bulk stops here; stock goes on, and takes the line or finds what else is wrong with it.
_ANYTHING = r"accepted|E\w+ .+"

RULES = (
    Rule(_TOO_LARGE, r"^\S+ \S+ \d{20,} ", _ANYTHING, "EINVAL Invalid iv_offset sector"),
    Rule(_TOO_LARGE, r"^\S+ \S+ \S+ \S+ \d{20,}( |$)", _ANYTHING, "EINVAL Invalid device sector"),
    Rule(_TOO_LARGE, r" sector_size:\d{5,}( |$)", _ANYTHING, _BAD_SECTOR_SIZE),
    Rule(_TOO_LARGE, r"^\S+ :\d{10,}:", _ANYTHING, "EINVAL Cannot parse key size"),
    Rule(_TOO_LARGE, r" integrity:\d{10,}:", _ANYTHING, "EINVAL Invalid integrity arguments"),
    Rule(_MORE, r" integrity:\d+[^ :\d\\][^ :]*:", _ANYTHING, "EINVAL Invalid integrity arguments"),
    Rule(_BLANKS, r"\\ \d", _ANYTHING,
         r"EINVAL (Invalid (iv_offset|device) sector|Invalid feature value for sector_size|"
         r"Bad cipher key count specification|Cannot parse key size|"
         r"Invalid integrity arguments|Invalid integrity_key_size argument)"),
    Rule(_NO_IV, r"^capi:[^ -]+ ", _ANYTHING, "EINVAL IV mechanism required"),
    Rule(_COUNT, r"^[^ -]+:\d+-\S+ ", r"E\w+ Error decoding and setting key", _BAD_COUNT),
    Rule(_COUNT, r"^cipher_null:\d{3,}-\S+ ", _ACCEPTED, _BAD_COUNT),
    # The other way round.
    Rule(_NEW_OPTIONS, r"(?i) high_priority( |$)", "EINVAL Invalid feature arguments", _ANYTHING,
         (1, 26, 0)),
    Rule(_NEW_OPTIONS, r" integrity_key_size:", "EINVAL Invalid feature arguments", _ANYTHING,
         (1, 28, 0)),
    Rule(_NEW_OPTIONS, r"^\S+ \S+ \S+ \S+ \S+ 9 ", "EINVAL Invalid number of feature args",
         _ANYTHING, (1, 26, 0)),
    Rule(_BAD_NUMBER, r" sector_size:(\D|\d+[^ \d]|[ ]|$)", "EINVAL Invalid feature arguments",
         _BAD_SECTOR_SIZE),
    Rule(_BAD_NUMBER, r" integrity:(\D|$)", "EINVAL Invalid feature arguments",
         "EINVAL Invalid integrity arguments"),
    Rule(_BAD_NUMBER, r" integrity_key_size:(\D|\d+[^ \d]|$)", "EINVAL Invalid feature arguments",
         "EINVAL Invalid integrity_key_size argument", since=(1, 28, 0)),
    Rule(_LONG_IV, r"-(lmk|tcw)[ :]", _ANYTHING, "EINVAL Unsupported IV size for (LMK|TCW)"),
    Rule(_NOT_AUTHENTICATED, r"^capi:authenc\([^ ]+,ecb\(", _ANYTHING,
         "EINVAL AEAD transforms without an IV not supported"),
    Rule(_MAC, r"^capi:authenc\(", "ENOMEM Invalid AEAD cipher spec",
         r"E(NOENT|INVAL) Invalid AEAD cipher spec", (1, 28, 0)),
    Rule(_REASON, r"-elephant[ :]", "EINVAL Unknown error", "EINVAL Wrong key size for Elephant"),
    Rule(_REASON, r"-(lmk|tcw)[ :]", "EINVAL Error creating IV",
         "EINVAL (Unsupported sector size for (LMK|TCW)|Wrong key size for TCW)"),
    Rule(_REASON, r"-(eboiv|elephant)[ :]", "EINVAL Error creating IV",
         "EINVAL (Block size of EBOIV cipher does not match IV size of block cipher|"
         "AEAD transforms not supported for EBOIV)"),
)


# Messages of which crypt-bulk makes something else: (text, stock's errno, crypt-bulk's).
_MESSAGES = (
    (r"(?i)\s*stats\s*", errno.EINVAL, 0),
)


def find_message(text, stock, bulk):
    """Whether these errnos of a message may differ; see the end of docs/differences.md."""
    return any(re.fullmatch(pattern, text) and [stock, bulk] == fates
               for pattern, *fates in _MESSAGES)


def find(line, stock, bulk, version):
    """The rule that allows this difference, or None."""
    for rule in expected(version):
        if re.search(rule.line, line) and \
                re.fullmatch(rule.stock, stock) and re.fullmatch(rule.bulk, bulk):
            return rule
    return None


def expected(version):
    """The rules that a stock target of this version has to meet."""
    return [rule for rule in RULES
            if version >= rule.since and (not rule.before or version < rule.before)]
