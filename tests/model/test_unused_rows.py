"""A base whose embedding has more rows than its tokenizer has tokens: new tokens take those rows, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from jp_adapt.core.errors import InputError
from jp_adapt.model import export
from jp_adapt.model.causal import CausalModel, NewRows, load_base, load_causal, load_new_rows, save_adapter
from jp_adapt.model.embedding_rows import check_embedding_rows, embedding_rows
from jp_adapt.model.lora import LoraSettings, lora_parameters
from jp_adapt.model.rows import ExtendedEmbedding, RowOrder
from jp_adapt.training.objective import NextTokenLoss

TOKENS, ROWS = 500, 512  # of the base
PROBE = [0, 5, 499, 3, 250, 1]


def make_base(folder: Path, *, rows: int = ROWS, tied: bool = True) -> Path:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=rows, tie_word_embeddings=tied, max_position_embeddings=128, **sizes)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("padded"), tied=request.param)


def extended(base: Path, count: int, first: int | None = TOKENS) -> CausalModel:
    model, generator = load_base(base, torch.float32), torch.Generator().manual_seed(3)
    tied = model.config.tie_word_embeddings
    rows = NewRows(torch.randn(count, 32, generator=generator), None if tied else torch.randn(count, 32, generator=generator), first)
    causal = CausalModel(model, rows)
    causal.add_lora(LoraSettings(4, 8.0, False), seed=1)
    for parameter in lora_parameters(causal.body).values():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    return causal


@pytest.mark.parametrize(("count", "size"), [(40, 540), (12, 512), (5, 512), (1, 512)])
def test_new_rows_take_unused_ones_and_stand_at_their_ids(base: Path, count: int, size: int, tmp_path: Path) -> None:
    before = load_base(base, torch.float32)
    old_input, old_output = before.get_input_embeddings().weight.detach(), before.get_output_embeddings().weight.detach()
    model = extended(base, count)
    assert model.vocab_size == size
    save_adapter(model, tmp_path, "hash")
    assert load_new_rows(tmp_path).first == TOKENS
    ids = torch.tensor([[*PROBE, TOKENS, TOKENS + count - 1]])
    attached = load_causal(base, torch.float32, tmp_path)
    with torch.inference_mode():
        expected = model.logits(model(ids)[0])
        assert torch.equal(attached.logits(attached(ids)[0]), expected)
    assert export.export_model(base, tmp_path, torch.float32, tmp_path / "model", ids[0].tolist()) < 1e-4
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert plain.config.vocab_size == size
    for rows, old, new in ((plain.model.embed_tokens.weight, old_input, model.new_input), (plain.lm_head.weight, old_output, model.new_output)):
        assert torch.equal(rows[:TOKENS], old[:TOKENS]), "the base's tokens keep their rows, bit for bit"
        assert torch.equal(rows[TOKENS : TOKENS + count], new.detach())
        assert torch.equal(rows[TOKENS + count :], old[TOKENS + count :]), "rows that nobody needs stay"
    with torch.inference_mode():
        torch.testing.assert_close(plain(input_ids=ids).logits[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("count", [40, 5])
def test_the_loss_is_that_of_the_merged_model(base: Path, count: int, tmp_path: Path) -> None:
    """Targets among the base's ids, the new ones, and (though no token has them) the rows behind them."""
    model = extended(base, count)
    save_adapter(model, tmp_path, "hash")
    export.export_model(base, tmp_path, torch.float32, tmp_path / "model", PROBE)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    ids = torch.tensor([[*PROBE, TOKENS, TOKENS + count - 1, 7, 511, 2]])
    positions = torch.arange(ids.shape[1])[None]
    loss = NextTokenLoss(model)(ids[:, :-1], positions[:, :-1], ids[:, 1:])
    logits = plain(input_ids=ids[:, :-1]).logits[0]
    assert loss.item() == pytest.approx(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum").item(), rel=1e-5)
    loss.backward()
    touched = set((model.new_input.grad.abs().sum(dim=1).nonzero()[:, 0] + TOKENS).tolist())
    assert touched == (set(range(TOKENS, TOKENS + count)) if model.tied else {entry for entry in ids[0, :-1].tolist() if TOKENS <= entry < TOKENS + count})
    with torch.inference_mode():
        hidden = model(ids[:, :-1])[0]
        scored = model.log_likelihoods(hidden, ids[0, 1:])
    assert -scored.sum().item() == pytest.approx(loss.item(), rel=1e-5)


def test_gradients_of_all_rows_are_those_of_the_merged_model(base: Path) -> None:
    model = extended(base, 5)
    model.unfreeze(body=False, embeddings=True)
    ids = torch.tensor([[*PROBE, TOKENS, 511, 2]])
    NextTokenLoss(model)(ids[:, :-1], torch.arange(ids.shape[1] - 1)[None], ids[:, 1:]).backward()
    assert model.base_head.shape[0] == ROWS - 5
    assert model.base_head.grad[511 - 5].abs().sum() > 0


def test_an_adapter_of_an_earlier_version_has_its_rows_after_all_others(base: Path, tmp_path: Path) -> None:
    """It does not say where they begin."""
    model = extended(base, 7, first=None)
    assert (model.order, model.vocab_size) == (RowOrder(ROWS, 7), ROWS + 7)


@pytest.mark.parametrize("tied", [True, False])
def test_too_few_rows_are_refused(tmp_path: Path, tied: bool) -> None:
    base = make_base(tmp_path / "short", rows=490, tied=tied)
    with pytest.raises(InputError, match=r"the embedding has 490 rows, and the tokenizer 500 tokens: ids from 490 on have no row"):
        extended(base, 4)
    with pytest.raises(InputError, match=r"its tokenizer has 500 tokens, and the embedding of its model 490 rows: ids from 490 on have no row"):
        check_embedding_rows(base, 500)
    assert check_embedding_rows(base, 490) == 0
    assert check_embedding_rows(base, 480) == 10


def test_the_embedding_equals_one_matrix_in_the_order_of_ids() -> None:
    old, new = torch.randn(9, 4), torch.nn.Parameter(torch.randn(3, 4))
    order = RowOrder(first=6, count=3, after=3)
    whole = order.join(old, new.detach())
    assert torch.equal(whole, torch.cat([old[:6], new.detach(), old[6:]]))
    ids = torch.arange(12).reshape(3, 4)
    embedding = ExtendedEmbedding(torch.nn.Embedding.from_pretrained(old), new, order)
    assert torch.equal(embedding(ids), whole[ids])
    assert torch.equal(torch.cat([old, new.detach()])[order.columns(ids)], whole[ids])
    embedding(ids).sum().backward()
    assert new.grad.tolist() == [[1.0] * 4] * 3


def test_rows_are_counted_without_reading_weights(base: Path, tmp_path: Path) -> None:
    assert embedding_rows(base) == ROWS
    assert embedding_rows(tmp_path) is None
    (tmp_path / "config.json").write_text('{"vocab_size": 7}', encoding="utf-8")
    assert embedding_rows(tmp_path) == 7
    (tmp_path / "model.safetensors").write_bytes((base / "model.safetensors").read_bytes()[:3000])
    with pytest.raises(InputError, match=r"not a whole safetensors file \(3,000 bytes"):
        embedding_rows(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((base / "model.safetensors").read_bytes())
    assert embedding_rows(tmp_path) == ROWS


def test_rows_of_a_sharded_model_are_found_by_its_index(base: Path, tmp_path: Path) -> None:
    model = LlamaForCausalLM.from_pretrained(base)
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    assert embedding_rows(tmp_path) == ROWS


@pytest.mark.parametrize("data", [b"", b"\x10", b"\xff" * 8 + b"{}", b"\x02" + b"\x00" * 7 + b"[]", b"\x05" + b"\x00" * 7 + b"{nope"])
def test_a_damaged_header_is_said(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(InputError, match=r"model\.safetensors: not (a whole safetensors file|valid JSON)"):
        embedding_rows(tmp_path)


def test_the_files_say_where_rows_begin(base: Path, tmp_path: Path) -> None:
    model: Any = extended(base, 5)
    save_adapter(model, tmp_path, "hash")
    assert load_file(tmp_path / "new_rows.safetensors")["input"].shape == (5, 32)
    assert load_new_rows(tmp_path / "nothing") is None
