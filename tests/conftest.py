"""What several tests share: a small model of the real architecture, made in a moment."""

from __future__ import annotations

import gc
import json
import os
from pathlib import Path

import pytest

from jp_adapt.tokenizer import auto, prefix
from tests.properties import ALL

gc.set_threshold(10_000, 10, 100)  # whole tokenizers are kept, millions of objects; a tenth of the suite's time went to walks through them
os.fsync = lambda file: None  # some 15,000 waits for the disk; no test cuts the power, and what a killed process wrote stays
if not ALL:  # random texts that every extension of a tokenizer is tried with: 2,000 in a command, which took half of its time here
    auto.NUM_FUZZ = prefix.FUZZ_STRINGS = 200
ROOT = Path(__file__).resolve().parent.parent
QUICKSTART = ROOT / "recipes" / "data" / "quickstart"


LONG = (
    "tests/test_end_to_end.py",
    "tests/tokenizer/test_extend.py",
    "tests/pipeline/test_padded_base.py",
    "tests/pipeline/stages/test_preference.py",
    "tests/training/test_ranks.py",
    "tests/training/test_sharding.py",
    "tests/cli/test_tokenizer.py",
    "tests/export/test_gguf.py",
    "tests/commands/test_evaluate.py",
    "tests/evaluation/test_lm_eval_model.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest come first, so that no worker is left with one of them at the end."""
    items.sort(key=lambda item: item.location[0] not in LONG)


def pytest_collection_finish() -> None:
    """What was imported stays: no walk through the heap needs to see it again (trainers ask for whole ones, 0.4 s each)."""
    gc.freeze()


def documents(name: str) -> list[str]:
    """Texts of one file of the quickstart corpus."""
    return [json.loads(line)["text"] for line in (QUICKSTART / name).read_text(encoding="utf-8").splitlines()]


def make_pico(folder: Path, *, tied: bool = True, hidden_size: int = 32, special: tuple[str, ...] = ("<|endoftext|>",), positions: int = 512) -> Path:
    """A randomly initialised Llama of 2 layers with a byte-level tokenizer of 500 English tokens, as a Hugging Face folder. The first of `special` is BOS and
    EOS."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM

    folder.mkdir(parents=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=list(special), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(documents("en_train.jsonl"), trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}', encoding="utf-8"
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=500,
        hidden_size=hidden_size,
        intermediate_size=2 * hidden_size,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        tie_word_embeddings=tied,
        bos_token_id=0,
        eos_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def pico(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small Llama with a tied head."""
    return make_pico(tmp_path_factory.mktemp("pico") / "tied")


@pytest.fixture(scope="session")
def pico_untied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small Llama whose head is a matrix of its own."""
    return make_pico(tmp_path_factory.mktemp("pico") / "untied", tied=False)


NUM_DOCUMENTS = 60


@pytest.fixture(scope="session")
def ja_corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    """`ja_train.jsonl` with the first `NUM_DOCUMENTS` training documents of the quickstart, to learn some hundred tokens from soon."""
    path = tmp_path_factory.mktemp("corpus") / "ja_train.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents(path.name)[:NUM_DOCUMENTS]), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def benchmark_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that `--data` may name: invented benchmark data in the layouts of the upstream repositories."""
    from tests.benchmark_files import write_benchmark_files

    return write_benchmark_files(tmp_path_factory.mktemp("benchmarks"))
