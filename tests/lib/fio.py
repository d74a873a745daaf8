# SPDX-License-Identifier: GPL-2.0
"""fio, for data that it checks itself."""

import json
import re
import subprocess

import tap


def verify(test, mapping, **options):
    """Run one fio job that verifies what it wrote; options override the common ones."""
    settings = {"name": "verify", "filename": mapping.path, "direct": 1, "ioengine": "libaio",
                "randseed": 42, "verify": "crc32c", "verify_fatal": 1, "verify_dump": 0,
                "do_verify": 1, **options}
    # A kernel that checks every access sees in a part of it what others would not see in all.
    if re.fullmatch(r"\d+m", str(settings.get("size", ""))):
        settings["size"] = f"{int(settings['size'][:-1]) * 1024 // tap.SLOWNESS}k"
    command = ["fio", "--output-format=json", "--eta=never"]
    command += [f"--{key}={value}" for key, value in settings.items()]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if not test.check(run.returncode == 0, f"fio {options}: {run.stderr or run.stdout}"):
        return
    job = json.loads(run.stdout[run.stdout.index("{"):])["jobs"][0]
    test.equal(job["error"], 0, f"fio {options}: error")
    # A verification that read nothing would prove nothing.
    test.check(job["read"]["io_bytes"] >= job["write"]["io_bytes"] > 0,
               f"fio wrote {job['write']['io_bytes']} and verified {job['read']['io_bytes']}")
