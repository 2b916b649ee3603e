"""What a stage reads of a source that holds some of its documents out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jp_adapt.commands.prepared import is_prepared
from jp_adapt.commands.source_parts import read_chats, read_texts
from jp_adapt.core.errors import InputError
from jp_adapt.corpus.record_fields import Fields
from jp_adapt.pipeline.run import _identities
from jp_adapt.pipeline.run_folder import RunFolder
from jp_adapt.pipeline.stages.context import Context
from jp_adapt.recipe.load import load_recipe
from jp_adapt.recipe.schema import Source
from tests.conftest import QUICKSTART
from tests.recipes import write_small_recipe

TEXT = Source(path=str(QUICKSTART / "ja_train.jsonl"), language="ja")


def test_training_and_held_out_documents_are_strangers() -> None:
    every = read_texts(TEXT, "training")
    assert read_texts(TEXT, "heldout") == every  # a source of held-out text alone
    source = TEXT.model_copy(update={"heldout": 0.05})
    training, heldout = read_texts(source, "training"), read_texts(source, "heldout")
    assert len(heldout) == round(0.05 * len(every))
    assert sorted(training + heldout) == sorted(every)
    assert not set(training) & set(heldout)


def test_conversations_are_held_out_too(tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    rows = [{"instruction": f"{number}の次は？", "output": str(number + 1)} for number in range(40)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    source = Source(path=str(path), language="ja", format="chat", heldout=0.1)
    training, heldout = read_chats(source, "training", Fields()), read_chats(source, "heldout", Fields())
    assert (len(training), len(heldout)) == (36, 4)
    assert not {chat.place for chat in training} & {chat.place for chat in heldout}


def test_a_stage_trains_on_one_part_and_measures_the_other(tmp_path: Path, pico: Path) -> None:
    recipe = load_recipe(write_small_recipe(tmp_path, pico), ["sources.ja.heldout=0.2"]).recipe
    context = Context(recipe, pico, RunFolder(tmp_path / "run").stage)
    assert (len(context.documents("ja")), len(context.documents("ja", "heldout"))) == (12, 3)


def test_a_share_that_changes_is_another_stage_and_none_leaves_old_runs_as_they_are(tmp_path: Path, pico: Path) -> None:
    path = write_small_recipe(tmp_path, pico)
    identities = []
    for changes in ([], ["sources.ja.heldout=0.1"], ["sources.ja.heldout=0.2"]):
        folder = RunFolder(tmp_path / f"run-{len(identities)}")
        folder.path.mkdir()
        identities.append(_identities(load_recipe(path, changes).recipe, folder)[1]["tok"])
    assert "heldout" not in identities[0].parts
    assert identities[1].parts["heldout"] == {"ja": 0.1}
    assert len({identity.fingerprint for identity in identities}) == 3


def test_a_prepared_corpus_holds_nothing_out(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text("{}", encoding="utf-8")
    (tmp_path / "texts.jsonl").write_text('{"text": "日本"}\n', encoding="utf-8")
    assert is_prepared(tmp_path)
    source = Source(path=str(tmp_path), language="ja", heldout=0.1)
    with pytest.raises(InputError, match="a prepared corpus is trained on whole"):
        read_texts(source, "training")
