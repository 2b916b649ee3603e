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
from tests.cli.test_status import run_folder

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


def test_nothing_is_fetched_of_data_that_is_shipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "fetch", "quickstart/ja-everyday-100", "--to", str(tmp_path / "to")]) == 0
    assert capsys.readouterr().out == "nothing to fetch: this data comes with jp-adapt, and `eval` needs no --data for it\n"


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
    run_folder(tmp_path / "run")
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


def test_the_parser_of_one_verb_says_what_that_of_all_says(capsys: pytest.CaptureFixture[str]) -> None:
    whole = build_parser()
    for verb in (*VERBS, *(f"{verb} {action}" for verb, actions in ACTIONS.items() for action in actions)):
        for words in (["--help"], ["--nonsense"], ["nonsense"]):
            said = []
            for parser in (whole, build_parser(verb)):
                try:
                    parser.parse_known_args([verb, *words])
                    said.append(("parsed", capsys.readouterr()))
                except SystemExit as stop:
                    said.append((stop.code, capsys.readouterr()))
            assert said[0] == said[1], (verb, words)
