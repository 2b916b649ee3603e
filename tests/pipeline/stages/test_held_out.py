"""Held-out text is shared out over the processes that train: each measures a part, and all get the figures of one process, to the last bit.

The two processes are threads here; tests/training/test_ranks.py has real ones.
"""

from __future__ import annotations

import threading

import pytest
import torch
from tokenizers import Tokenizer

from jp_adapt.commands import processes
from jp_adapt.commands.processes import measuring_processes
from jp_adapt.corpus.conversations import Sample, plan_conversations
from jp_adapt.corpus.pack import IGNORED
from jp_adapt.inference.processes import ALONE, Processes
from jp_adapt.model.causal import load_causal
from jp_adapt.pipeline.stages import training as training_stage
from jp_adapt.pipeline.stages.sft import _answer_nats
from jp_adapt.pipeline.stages.training import heldout_measure
from tests.conftest import documents


@pytest.fixture
def model(pico):
    return load_causal(pico, torch.float32)


def in_two(monkeypatch, work):
    """What `work` gives in each of two processes."""
    barrier, slots, own = threading.Barrier(2, timeout=60), [None, None], threading.local()
    results = [None, None]

    def run(rank):
        def gather(value):
            slots[rank] = value
            barrier.wait()
            matches = list(slots)
            barrier.wait()
            return matches

        own.processes = Processes(rank, 2, gather)
        results[rank] = work()

    monkeypatch.setattr(processes, "measuring_processes", lambda model: own.processes)
    monkeypatch.setattr(training_stage, "measuring_processes", lambda model: own.processes)
    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return results


@pytest.fixture
def passes(model):
    """The threads that ran the body, once for each pass."""
    results = []
    model.body.register_forward_hook(lambda *_: results.append(threading.get_ident()))
    return results


def test_texts(model, pico, passes, monkeypatch):
    tokenizer = Tokenizer.from_file(str(pico / "tokenizer.json"))
    texts = {"ja": documents("ja_train.jsonl")[:9], "en": documents("en_train.jsonl")[:3]}
    measure = heldout_measure(model, lambda text: tokenizer.encode(text, add_special_tokens=False).ids, texts, {"ja": "ja", "en": "en"}, prefix=0)
    alone = measure()
    assert alone.keys() == {"bits_per_char/ja", "bits_per_byte/ja", "bits_per_byte/en"}
    passes_alone = len(passes)
    assert in_two(monkeypatch, measure) == [alone, alone]
    both = passes[passes_alone:]
    assert max(both.count(thread) for thread in set(both)) < 0.7 * passes_alone, "each of the two did a part"


def test_answers(model, passes, monkeypatch):
    generator = torch.Generator().manual_seed(3)
    texts = [torch.randint(0, 500, (size,), generator=generator).tolist() for size in (20, 9, 31, 12, 27)]
    samples = [Sample(ids, [IGNORED] * 3 + ids[4:]) for ids in texts]
    plan = plan_conversations({"chat": (samples, 1.0)}, length=32, rows_per_step=1, seed=0, epochs=1)
    alone = _answer_nats(model, plan)
    assert plan.num_steps > 2
    assert in_two(monkeypatch, lambda: _answer_nats(model, plan)) == [alone, alone]
    assert len(passes) == 2 * plan.num_steps
    assert len(set(passes[plan.num_steps :])) == 2


def test_one_process_measures_alone(model):
    assert measuring_processes(model) is ALONE
