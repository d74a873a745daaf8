# SPDX-License-Identifier: GPL-2.0
"""The kernel's audit records of device-mapper."""

import re
import socket
import struct


class Audit:
    """The audit records of device-mapper, while a with statement lasts."""

    GET, SET = 1000, 1001
    DM_CTRL, DM_EVENT = 1338, 1339
    ENABLED = 1

    def __init__(self):
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)
        # The group of those who read along.
        self._socket.bind((0, 1))
        self._socket.settimeout(5)

    def _enable(self, value):
        # The command itself is the answer; the group shows that it happened.
        body = struct.pack("=10I", self.ENABLED, value, *[0] * 8)
        header = struct.pack("=IHHII", 16 + len(body), self.SET, 5, 0, 0)
        self._socket.send(header + body)

    def __enter__(self):
        self._enable(1)
        return self

    def __exit__(self, *_exc):
        self._enable(0)
        self._socket.close()

    def read(self, count):
        """The next records of device-mapper: (type, text without time and number)."""
        found = []
        while len(found) < count:
            try:
                message = self._socket.recv(16384)
            except socket.timeout:
                break
            kind = struct.unpack_from("=IH", message)[1]
            if kind in (self.DM_CTRL, self.DM_EVENT):
                text = message[16:].rstrip(b"\0").decode(errors="replace")
                found.append((kind, re.sub(r"^audit\([^)]*\): ", "", text).strip()))
        return found
