"""What a process gives back to the system."""

import ctypes
import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, os, sys
from pathlib import Path
from exporter.memory import give_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

before = resident()
records = [os.urandom(5000) for _ in range(20_000)]
kept = records[::50]
full = resident()
del records
give_back()
json.dump([before, full, resident()], sys.stdout)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="only glibc can be told to give memory back")
def test_memory_between_what_is_kept_is_given_back() -> None:
    """Records that lay between others leave nothing behind: a process does not stay as large as it ever was."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, check=True)
    before, full, after = json.loads(done.stdout)

    assert full - before > 90_000_000
    assert after - before < 20_000_000
