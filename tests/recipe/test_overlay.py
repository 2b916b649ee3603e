"""A recipe laid over another (`extends`), and settings (`-s`) laid over both."""

from __future__ import annotations

from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.recipe.load import load_recipe
from jp_adapt.recipe.schema import PretrainStage, RowsStage
from tests.recipe.conftest import RIGHT

# extends


def _child(folder: Path, text: str, name: str = "child.yaml") -> Path:
    (folder / "sub").mkdir(exist_ok=True)
    path = folder / "sub" / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_child_is_laid_over_its_parent(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "more.jsonl").write_text('{"text": "本"}\n', encoding="utf-8")
    path = _child(
        folder,
        """\
extends: ../recipe.yaml
name: child
sources:
  ja: {path: more.jsonl}
  extra: {path: more.jsonl, language: ja, licence: CC0-1.0}
stages:
  - id: cpt
    optimizer: {weight_decay: 0.1}
    data: [{source: extra}]
    budget: {tokens: 7, epochs: null}
  - {id: rows, sequence_tokens: 64}
""",
    )
    loaded = load_recipe(path)
    recipe = loaded.recipe
    assert recipe.name == "child"
    assert loaded.text.startswith("extends: ../recipe.yaml"), "the text is the child's own, byte for byte"
    assert [stage.id for stage in recipe.stages] == ["tok", "rows", "cpt", "model", "eval"]
    rows, cpt = recipe.stages[1], recipe.stages[2]
    assert isinstance(rows, RowsStage)
    assert isinstance(cpt, PretrainStage)
    assert rows.sequence_tokens == 64
    assert rows.budget.tokens == 100
    assert (cpt.optimizer.lr, cpt.optimizer.weight_decay) == (0.001, 0.1), "mappings are merged key by key"
    assert [item.source for item in cpt.data] == ["extra"], "lists are replaced whole"
    assert cpt.budget.tokens == 7
    assert recipe.sources["ja"].path == str(folder / "sub" / "more.jsonl")
    assert recipe.sources["en"].path == str(folder / "en.jsonl")
    assert recipe.sources["ja"].license == "CC0-1.0"


def test_a_child_may_add_a_stage_at_the_end_and_replace_the_base(folder: Path) -> None:
    path = _child(folder, "extends: ../recipe.yaml\nbase: {model: org/x, revision: " + "a" * 40 + "}\nstages:\n  - {id: half, kind: export, start: rows}\n")
    recipe = load_recipe(path).recipe
    assert [stage.id for stage in recipe.stages][-2:] == ["eval", "half"]
    assert recipe.base.path is None
    assert recipe.base.model == "org/x"


def test_a_child_of_a_shipped_recipe(folder: Path) -> None:
    path = _child(folder, "extends: quickstart\nname: mine\nseed: 9\n")
    recipe = load_recipe(path).recipe
    parent = load_recipe("quickstart").recipe
    assert recipe == parent.model_copy(update={"name": "mine", "seed": 9})


def test_three_generations(folder: Path) -> None:
    _child(folder, "extends: ../recipe.yaml\nseed: 2\nname: middle\n", "middle.yaml")
    path = _child(folder, "extends: middle.yaml\nname: youngest\n")
    recipe = load_recipe(path).recipe
    assert (recipe.name, recipe.seed) == ("youngest", 2)


def test_a_problem_is_named_where_it_stands(folder: Path) -> None:
    path = _child(folder, "extends: ../recipe.yaml\nstages:\n  - id: cpt\n    optimizer: {lr: fast}\n  - {id: rows, start: nothing}\n")
    with pytest.raises(UsageError) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(f"{path}:4: stages.cpt.optimizer.lr is 'fast'")
    (folder / "recipe.yaml").write_text(RIGHT.replace("new_tokens: 10", "new_tokens: 0"), encoding="utf-8")
    path.write_text("extends: ../recipe.yaml\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"recipe\.yaml:8: stages\.tok\.new_tokens is 0"):
        load_recipe(path)


@pytest.mark.parametrize("names", [("a.yaml",), ("a.yaml", "b.yaml"), ("a.yaml", "b.yaml", "c.yaml")])
def test_circular_extends(folder: Path, names: tuple[str, ...]) -> None:
    for name, parent in zip(names, (*names[1:], names[0]), strict=True):
        _child(folder, f"name: x\nextends: {parent}\n", name)
    with pytest.raises(UsageError, match=rf"{names[-1]}:2: 'extends' goes in a circle through .*a\.yaml"):
        load_recipe(folder / "sub" / "a.yaml")


def test_unknown_parent(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"child\.yaml:2: .*no recipe 'quickstat' \(did you mean 'quickstart'\?\)"):
        load_recipe(_child(folder, "name: x\nextends: quickstat\n"))
    with pytest.raises(InputError, match=r"child\.yaml:1: .*\.\./nothing\.yaml: no such recipe file"):
        load_recipe(_child(folder, "extends: ../nothing.yaml\n"))


# -s


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("seed=7", "seed", 7),
        ("stages.cpt.optimizer.lr=2e-4", "stages.2.optimizer.lr", 0.0002),
        ("stages.2.optimizer.lr=2e-4", "stages.2.optimizer.lr", 0.0002),
        ("stages.cpt.optimizer.schedule=wsd", "stages.2.optimizer.schedule", "wsd"),
        ("stages.cpt.lora.rank=8", "stages.2.lora.rank", 8),
        ("stages.tok.unchanged=[en, ja]", "stages.0.unchanged", ["en", "ja"]),
        ("stages.rows.data.0.weight=2", "stages.1.data.0.weight", 2),
        ("stages.cpt.budget={tokens: 5}", "stages.2.budget.tokens", 5),
        ("title=a=b", "title", "a=b"),
        ("title=", "title", None),
        ("base.document_start='<s>'", "base.document_start", "<s>"),
    ],
)
def test_an_override_wins(folder: Path, override: str, path: str, value: object) -> None:
    if value is None:
        with pytest.raises(UsageError, match=r"^-s title=: title is None: a text is needed"):
            load_recipe(folder / "recipe.yaml", [override])
        return
    results: object = load_recipe(folder / "recipe.yaml", [override]).recipe
    for name in path.split("."):
        results = results[int(name)] if isinstance(results, list) else getattr(results, name)
    assert results == value


def test_the_last_override_wins_and_the_parent_loses(folder: Path) -> None:
    path = _child(folder, "extends: ../recipe.yaml\nseed: 2\n")
    assert load_recipe(path, ["seed=3", "seed=4"]).recipe.seed == 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "-s seed: write KEY=VALUE, for example stages.cpt.optimizer.lr=2e-4"),
        ("=1", "-s =1: write KEY=VALUE"),
        ("stages.cp.lora=1", "-s stages.cp.lora=1: no 'cp' in stages (did you mean 'cpt'?)"),
        ("stages.9.start=tok", "-s stages.9.start=tok: no '9' in stages"),
        ("name.deep=1", "-s name.deep=1: 'name' holds one value and has no 'deep'"),
        ("sead=1", "-s sead=1: unknown key 'sead' (did you mean 'seed'?)"),
        ("stages.cpt.optimiser.lr=1", "-s stages.cpt.optimiser.lr=1: unknown key 'optimiser' (did you mean 'optimizer'?)"),
        ("stages.cpt.optimizer.lr=fast", "-s stages.cpt.optimizer.lr=fast: stages.cpt.optimizer.lr is 'fast': a number is needed"),
        ("stages.cpt.start=row", "-s stages.cpt.start=row: no stage 'row' (did you mean 'rows'?)"),
        ("stages.cpt.data=[{source: jaa}]", "-s stages.cpt.data=[{source: jaa}]: no source 'jaa' (did you mean 'ja'?)"),
        ("seed=[1", "-s seed=[1: not valid YAML"),
        ("title=2024-13-45", "-s title=2024-13-45: '2024-13-45' is read as a date; put quotes around a text that looks like one"),
    ],
)
def test_a_wrong_override_is_named(folder: Path, override: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(folder / "recipe.yaml")
    with pytest.raises(UsageError) as caught:
        load_recipe(path, [override])
    assert str(caught.value).startswith(message)
    assert main(["check", path, "-s", override]) == 2
    assert message in capsys.readouterr().err


def test_an_override_that_names_a_missing_file(folder: Path) -> None:
    with pytest.raises(InputError, match=r"^-s sources\.en\.path=no\.jsonl: source 'en': no such file: no\.jsonl"):
        load_recipe(folder / "recipe.yaml", ["sources.en.path=no.jsonl"])


def test_both_spellings_of_a_license_and_none(folder: Path) -> None:
    path = folder / "recipe.yaml"
    text = path.read_text(encoding="utf-8").replace("en.jsonl, language: en, licence: CC0-1.0", "en.jsonl, language: en")
    path.write_text(text, encoding="utf-8")
    sources = load_recipe(path).recipe.sources
    assert (sources["ja"].license, sources["en"].license) == ("CC0-1.0", "private")
    child = folder / "child.yaml"
    child.write_text("extends: recipe.yaml\nname: child\nsources: {ja: {license: MIT}}\n", encoding="utf-8")
    assert load_recipe(child).recipe.sources["ja"].license == "MIT"
    assert load_recipe(child, ["sources.ja.licence=Apache-2.0"]).recipe.sources["ja"].license == "Apache-2.0"
    assert load_recipe(child, ["sources.ja.license=Apache-2.0"]).recipe.sources["ja"].license == "Apache-2.0"
    grandchild = folder / "grandchild.yaml"
    grandchild.write_text("extends: child.yaml\nname: grandchild\nsources: {ja: {licence: CC0-1.0}}\n", encoding="utf-8")
    assert load_recipe(grandchild).recipe.sources["ja"].license == "CC0-1.0"


def test_every_wrong_setting_is_told_at_once(folder: Path) -> None:
    with pytest.raises(UsageError) as error:
        load_recipe(folder / "recipe.yaml", ["seed", "stages.ctp.seed=1", "seed=2"])
    assert [line.partition(": ")[0] for line in str(error.value).splitlines()] == ["-s seed", "-s stages.ctp.seed=1"]
