"""Load, rows, LoRA, attention, sizes."""

import logging

# peft imports bitsandbytes where it is installed, which on a processor with AVX512-BF16 warns of an optional kernel that it lacks. Nothing here uses it.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
