"""The command as a user meets it: a process, its output, its exit code, and what it does not load."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jp_adapt
from jp_adapt.cli.main import ACTIONS, EXIT_CODES, VERBS, build_parser, main
from jp_adapt.core.lock import folder_lock

PUBLIC = [
    "AdviceOptions",
    "Criterion",
    "EvalOptions",
    "EvolveTask",
    "JpAdaptError",
    "JudgeOptions",
    "Measure",
    "Metric",
    "Scores",
    "add_engine",
    "add_metric",
    "advise",
    "build_tokenizer",
    "check_recipe",
    "compare_scores",
    "compare_tokenizers",
    "corpus_stats",
    "evaluate",
    "evaluate_matrix",
    "evolve",
    "export_gguf",
    "extend_tokenizer",
    "init_new_rows",
    "judge",
    "learn_tokens",
    "load_benchmark",
    "load_measurable",
    "load_recipe",
    "load_tokenizer",
    "measure_tokenizer",
    "merge_adapter",
    "merge_models",
    "open_run",
    "plan_judging",
    "plan_recipe",
    "prefix_tokenizer",
    "prepare_corpus",
    "read_judge_summary",
    "read_scores",
    "rebuild_report",
    "repair_tokenizer",
    "run_recipe",
    "run_status",
    "runs",
    "save_tokenizer",
    "shipped_benchmarks",
    "shipped_corpora",
    "shipped_recipes",
    "shipped_suites",
    "train",
    "verify_tokenizer",
]
NEED_TORCH = {"EvolveTask", "evolve", "export_gguf", "init_new_rows", "merge_models", "train"}

# Runs one command, then says on stderr which of some heavy modules it loaded.
LOADED = """
import sys
from jp_adapt.cli.main import main
code = 0
try:
    code = main(sys.argv[1:])
except SystemExit as stop:
    code = stop.code
heavy = {"torch", "transformers", "peft", "numpy", "tokenizers", "pydantic", "yaml", "rich", "gguf"}
print("loaded:", *sorted(heavy & set(sys.modules)), file=sys.stderr)
sys.exit(code)
"""


def _run(*arguments: str, cwd: Path, program: tuple[str, ...] = ("-m", "jp_adapt")) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *program, *arguments], cwd=cwd, capture_output=True, text=True, encoding="utf-8", timeout=60)


def _run_folder(folder: Path) -> Path:
    """A run folder whose tokenizer stage is done, whose rows stage has begun, and whose last stage waits."""
    stages = [{"id": "tok", "kind": "tokenizer"}, {"id": "rows", "kind": "rows"}, {"id": "model", "kind": "export"}]
    for name in ("tok", "rows"):
        (folder / "stages" / name).mkdir(parents=True)
    run = {"format": 1, "name": "mine", "created": "2026-11-29", "jp_adapt": "0.1.0", "recipe": "mine.yaml"}
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    (folder / "resolved.yaml").write_text(json.dumps({"stages": stages}), encoding="utf-8")
    record = {"id": "tok", "fingerprint": "0", "identity": {}, "elapsed_s": 3.2}
    (folder / "stages" / "tok" / "stage.json").write_text(json.dumps(record), encoding="utf-8")
    (folder / "stages" / "tok" / "DONE").write_text("x\n", encoding="utf-8")
    (folder / "stages" / "rows" / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"step": 3', encoding="utf-8")
    return folder


def test_help_names_every_verb_and_every_exit_code(tmp_path: Path) -> None:
    done = _run("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    words = done.stdout.split()
    assert set(VERBS) <= set(words)
    assert " ".join(EXIT_CODES.split()) in " ".join(words)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert f"usage: jp-adapt {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chekc", "quickstart"], "(did you mean 'check'?)"),
        (["lsit"], "(did you mean 'list'?)"),
        (["xyz"], "invalid choice: 'xyz'"),
        (["check"], "the following arguments are required: recipe"),
        (["check", "quickstart", "--jsn"], "unrecognized arguments: --jsn\nTry: jp-adapt check --help"),
        (["tokenizer", "compare", "a", "--texts", "b", "--nosuch"], "unrecognized arguments: --nosuch\nTry: jp-adapt tokenizer compare --help"),
        (["eval", "compare", "a", "b", "--nosuch"], "unrecognized arguments: --nosuch\nTry: jp-adapt eval compare --help"),
        (["run", "quickstart", "--from"], "argument --from: expected one argument"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert "Try: jp-adapt" in captured.err


@pytest.mark.parametrize(("arguments", "named"), [([], "tokenizer"), (["corpus"], "prepare"), (["merge"], "from-mergekit")])
def test_a_command_without_its_verb_shows_the_help(arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: jp-adapt")
    assert named in captured.err.split()


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib import metadata

    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"jp-adapt {metadata.version('jp-adapt')}\n"


def test_actions_of_eval_are_named_by_eval_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "eval compare" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["eval", "--help"])
    out = capsys.readouterr().out
    assert all(f"  eval {action} " in out for action in ACTIONS["eval"])
    with pytest.raises(SystemExit):
        main(["evl"])
    err = capsys.readouterr().err
    assert "(did you mean 'eval'?)" in err
    assert "eval compare" not in err


def test_unknown_verb_in_a_process(tmp_path: Path) -> None:
    done = _run("chekc", "quickstart", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "(did you mean 'check'?)" in done.stderr
    assert "Traceback" not in done.stderr


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^  quickstart +SmolLM2-135M-Instruct learns to read Japanese on two CPU cores$", out, re.MULTILINE)
    assert re.search(r"^  quickstart/ja-everyday-100 +Japanese everyday knowledge, 100 four-choice questions$", out, re.MULTILINE)
    assert main(["list", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["recipes"]["quickstart"].startswith("SmolLM2")
    assert results["benchmarks"].keys() == {"quickstart/ja-everyday-100"} | results["benchmarks"].keys()


def test_check_quickstart(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "quickstart"]) == 0
    assert "tok (tokenizer) -> cpt (pretrain) -> model (export) -> eval (evaluate)" in capsys.readouterr().out
    assert main(["check", "quickstart", "--json", "-s", "seed=5"]) == 0
    assert json.loads(capsys.readouterr().out)["seed"] == 5


@pytest.mark.parametrize("name", ["quickstart", "quickstart/ja-everyday-100"])
def test_show_prints_the_file_as_it_is(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from jp_adapt.core.shipped import shipped_benchmarks, shipped_recipes

    assert main(["show", name]) == 0
    assert capsys.readouterr().out == (shipped_recipes() | shipped_benchmarks())[name].read_text(encoding="utf-8")


def test_show_an_unknown_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "quikstart"]) == 2
    assert capsys.readouterr() == ("", "error: nothing is shipped as 'quikstart' (did you mean 'quickstart'?); see: jp-adapt list\n")


def test_show_into_a_reader_that_leaves(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; '{sys.executable}' -m jp_adapt show quickstart | head -c 1"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "#"
    assert done.stderr == ""


def test_env_names_versions_and_no_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["python"] == sys.version.split()[0]
    assert {"jp-adapt", "torch", "tokenizers", "cpu_count", "platform"} <= results.keys()
    assert results["memory"].endswith(" GiB")
    assert results["gpu"]
    assert str(Path.home()) not in json.dumps(results)
    assert main(["env"]) == 0
    assert f"python        {results['python']}" in capsys.readouterr().out


def test_copy_gives_a_recipe_that_loads_from_its_new_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "mine"
    assert main(["copy", "quickstart", str(target)]) == 0
    assert capsys.readouterr().out == f"{target / 'quickstart.yaml'}\n"
    assert main(["check", str(target / "quickstart.yaml"), "--json"]) == 0
    recipe = json.loads(capsys.readouterr().out)
    assert {Path(path).parent for path in (recipe["control"], *(source["path"] for source in recipe["sources"].values()))} == {target / "data" / "quickstart"}
    first = (target / "quickstart.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert json.loads((target / first.removeprefix("# yaml-language-server: $schema=")).read_text(encoding="utf-8"))["title"] == "Recipe"


def test_copy_refuses_what_exists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "quickstart.yaml").write_text("my work", encoding="utf-8")
    assert main(["copy", "quickstart", str(tmp_path / "mine")]) == 2
    assert "mine: exists already; give another folder" in capsys.readouterr().err
    assert (tmp_path / "mine" / "quickstart.yaml").read_text(encoding="utf-8") == "my work"


def test_copy_of_an_unknown_recipe_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["copy", "quikstart", str(tmp_path / "mine")]) == 2
    assert "did you mean 'quickstart'?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_status_of_a_run_in_the_middle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _run_folder(tmp_path / "run")
    assert main(["status", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "stage  kind       state    progress",
        "tok    tokenizer  done     3.2 s",
        "rows   rows       stopped  step 2",
        "model  export     waiting",
        "rows was interrupted; the same `jp-adapt run` goes on from there",
    ]
    assert main(["status", str(folder), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)[1]
    assert {key: value for key, value in rows.items() if value is not None} == {"id": "rows", "kind": "rows", "state": "stopped", "step": 2}


def _train(folder: Path, first: int, last: int) -> None:
    """Steps of the stage `rows`: 40 in all, 100 tokens and half a second each."""
    lines = [{"step": n, "num_steps": 40, "loss_nats_per_token": 9 - n / 10, "tokens": 100 * n, "elapsed_s": n / 2} for n in range(first, last + 1)]
    with (folder / "stages" / "rows" / "metrics.jsonl").open("w" if first == 0 else "a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def test_status_says_how_long_a_running_stage_will_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _run_folder(tmp_path / "run")
    _train(folder, 0, 30)
    with folder_lock(folder):
        assert main(["status", str(folder)]) == 0
        assert capsys.readouterr().out.splitlines()[2] == "rows   rows       running  30/40, loss 6.000, 200 tokens/s, 5.0 s left"
        assert main(["runs", str(tmp_path)]) == 0
        head, line = capsys.readouterr().out.splitlines()
        assert head.split() == ["kind", "path", "state", "figures", "size", "date"]
        assert re.fullmatch(r"run +run +running +rows 30/40, loss 6.000, 200 tokens/s, 5.0 s left +[0-9.]+ KiB +2026-11-29 00:00", line)
    assert main(["status", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[2] == "rows   rows       stopped  30/40, loss 6.000"


def test_status_follows_a_run_until_it_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _run_folder(tmp_path / "run")
    _train(folder, 0, 10)
    naps = 0

    def nap(seconds: float) -> None:
        nonlocal naps
        naps += 1
        if naps == 2:
            _train(folder, 11, 20)
        elif naps == 3:
            lock.__exit__(None, None, None)

    monkeypatch.setattr("jp_adapt.cli.status.time.sleep", nap)
    lock = folder_lock(folder)
    lock.__enter__()
    assert main(["status", str(folder), "--follow"]) == 0
    assert [line.split("  ")[-1].strip() for line in capsys.readouterr().out.splitlines()[2:]] == [
        "10/40, loss 8.000, 200 tokens/s, 15.0 s left",
        "waiting",
        "20/40, loss 7.000, 200 tokens/s, 10.0 s left",
        "20/40, loss 7.000",
        "rows was interrupted; the same `jp-adapt run` goes on from there",
    ]


def test_runs_of_an_empty_and_of_a_missing_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}: nothing of jp-adapt lies here; jp-adapt run RECIPE begins a run\n"
    assert main(["runs", str(tmp_path / "no")]) == 3
    assert "no such folder; give one that holds runs or results" in capsys.readouterr().err
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["runs", str(tmp_path / "file")]) == 3
    assert "file: is a file; give the folder that holds runs or results" in capsys.readouterr().err


def test_nothing_is_fetched_of_data_that_is_shipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "fetch", "quickstart/ja-everyday-100", "--to", str(tmp_path / "to")]) == 0
    assert capsys.readouterr().out == "nothing to fetch: this data comes with jp-adapt, and `eval` needs no --data for it\n"


FOREIGN = [
    ("run.json", "{}", r"run.json: not the record of a run in format 1 \(it names none\); give a folder that `jp-adapt run` wrote"),
    ("run.json", '{"format": 1, "name": 3}', "run.json: not the record of a run in format 1: name: a text is needed, not 3"),
    ("run.json", "\x00\x00", "run.json:1: not valid JSON"),
    ("resolved.yaml", "- 1", "resolved.yaml: not the recipe of a run"),
    ("resolved.yaml", "stages: [1]", "resolved.yaml: not the recipe of a run"),
    ("resolved.yaml", "stages: [{id: ../../../etc, kind: rows}]", "resolved.yaml: not the recipe of a run .the id of a stage is not a name"),
    ("resolved.yaml", "a: [", "resolved.yaml:1: not valid YAML"),
    ("stages/tok/stage.json", '{"id": "tok", "fingerprint": "0", "identity": [], "elapsed_s": "3"}', r"identity: an object is needed, not \[\]"),
    ("stages/tok/stage.json", '{"format": 2}', r"not the record of a stage in format 1 \(its format is 2\); redo the stage"),
    ("stages/rows/metrics.jsonl", '{"step": "1"}\n', "metrics.jsonl:1: not the metrics of a step"),
    ("stages/rows/metrics.jsonl", "[1]\n", "metrics.jsonl:1: not the metrics of a step"),
    ("stages/rows/metrics.jsonl", '{"step": 1}\n' + "[" * 5000 + "\n", "metrics.jsonl:2: JSON nested deeper than 100 levels"),
]


@pytest.mark.parametrize(("name", "text", "said"), FOREIGN)
def test_a_run_folder_with_a_file_of_another_shape(tmp_path: Path, name: str, text: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _run_folder(tmp_path / "run")
    (folder / name).write_text(text, encoding="utf-8")
    assert main(["status", str(folder)]) == 3
    assert re.search(said, capsys.readouterr().err)


@pytest.mark.parametrize("verb", ["status", "report"])
def test_a_folder_that_is_no_run(tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        assert main([verb, str(folder)]) == 3
        captured = capsys.readouterr()
        assert captured.out == ""
        assert f"{folder}: no run folder (it has no run.json)" in captured.err


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--help"], set()),
        (["run", "--help"], set()),
        (["list"], {"rich"}),
        (["show", "quickstart"], set()),
        (["check", "quickstart"], {"pydantic", "yaml"}),
        (["status", "run"], {"pydantic", "rich", "yaml"}),
        (["env"], {"pydantic", "rich", "yaml"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_quick_commands_load_nothing_heavy(tmp_path: Path, arguments: list[str], allowed: set[str]) -> None:
    _run_folder(tmp_path / "run")
    done = _run(*arguments, cwd=tmp_path, program=("-c", LOADED))
    assert done.returncode == 0, done.stderr
    assert done.stdout != ""
    loaded = done.stderr.splitlines()[-1].removeprefix("loaded:").split()
    assert set(loaded) <= allowed


# The Python API.


def test_public_names_are_pinned() -> None:
    assert jp_adapt.__all__ == PUBLIC
    assert dir(jp_adapt) == PUBLIC


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'jp_adapt' has no attribute 'lern_tokens'"):
        _ = jp_adapt.lern_tokens


def test_import_loads_nothing_heavy(tmp_path: Path) -> None:
    code = "import sys, jp_adapt; print(*sorted({'torch', 'pydantic', 'yaml', 'numpy', 'tokenizers', 'transformers'} & set(sys.modules)))"
    done = _run(cwd=tmp_path, program=("-c", code))
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_public_names_resolve_and_explain_themselves_without_torch(tmp_path: Path) -> None:
    names = sorted(set(PUBLIC) - NEED_TORCH)
    code = (
        f"import json, sys, jp_adapt; found = [getattr(jp_adapt, name) for name in {names}]; "
        "print(json.dumps([[item.__name__, item.__doc__] for item in found])); print('torch' in sys.modules)"
    )
    done = _run(cwd=tmp_path, program=("-c", code))
    assert done.returncode == 0, done.stderr
    results, torch = done.stdout.splitlines()
    assert torch == "False"
    assert [name for name, _ in json.loads(results)] == names
    assert [name for name, documentation in json.loads(results) if not (documentation or "").strip()] == []


def test_names_that_need_torch_are_where_the_package_says() -> None:
    """Without importing torch: the function stands in its file, with a docstring."""
    import ast

    for name in NEED_TORCH:
        path = Path(jp_adapt.__file__).parent / (jp_adapt._HOMES[name].replace(".", "/") + ".py")
        named = {node.name: node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert ast.get_docstring(named[name])


def test_parser_has_exactly_the_verbs() -> None:
    actions = [action for action in build_parser()._actions if action.dest == "verb"]
    assert list(actions[0].choices or ()) == [*VERBS, *(f"{verb} {action}" for verb, actions in ACTIONS.items() for action in actions)]


def test_status_says_why_a_stage_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _run_folder(tmp_path / "run")
    assert main(["status", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "rows was interrupted; the same `jp-adapt run` goes on from there"
    log = "T rows: begins\nT rows: stopped by InputError: the disk is full: /x\n"
    (folder / "log.txt").write_text(log, encoding="utf-8")
    assert main(["status", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "rows failed: InputError: the disk is full: /x; the same `jp-adapt run` goes on from there"
    assert main(["status", str(folder), "--json"]) == 0
    assert [stage["stopped_by"] for stage in json.loads(capsys.readouterr().out)] == [None, "InputError: the disk is full: /x", None]
    for end in ("", "T rows: stopped by KeyboardInterrupt: \n"):  # begun again, and killed, or ended by Ctrl-C
        (folder / "log.txt").write_text(log + "T rows: begins\n" + end, encoding="utf-8")
        assert main(["status", str(folder)]) == 0
        assert "rows was interrupted" in capsys.readouterr().out
