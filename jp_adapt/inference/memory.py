"""What to do where memory runs out: half as much goes into a pass from then on, what is finished is kept, and it is counted."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass
class Room:
    """How much goes into one forward pass (tokens, or rows), and how often it had to be halved."""

    size: int
    halvings: int = 0

    def halve(self, error: Exception) -> None:
        """Make room smaller after `error`, which is raised again where it is not about memory or nothing smaller is left."""
        if self.size <= 1 or not out_of_memory(error):
            raise error
        self.size //= 2
        self.halvings += 1


def out_of_memory(error: Exception) -> bool:
    """Whether a GPU's memory is used up (torch's own error), or the machine's (a plain RuntimeError of torch's allocator, or a failed `new` in C++)."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)
