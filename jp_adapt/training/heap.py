"""Memory that one training step frees serves the next, on a CPU with glibc.

glibc gives large blocks back to the kernel when they are freed, and each step takes them again: up to half a million page faults a step, by chance of how
the heap lies, which cost up to a third of its time (docs/log.md). GPU memory has torch's caching allocator for this.
"""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT_BYTES = 2**31 - 1  # at the end of the heap; what is above goes back
LARGEST_MMAP_THRESHOLD = 32 * 2**20  # glibc allows no more


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed; False where the C library is another, and nothing changes."""
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD) and libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES))
