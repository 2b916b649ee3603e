"""`jp-adapt tokenizer` from end to end: extend, verify, compare."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.cli.main import main
from jp_adapt.tokenizer.load import load_tokenizer
from jp_adapt.tokenizer.runtimes import runtimes_of
from tests.cli.conftest import TEMPLATE, write_folder
from tests.conftest import NUM_DOCUMENTS, QUICKSTART, documents
from tests.tokenizer.conftest import load_sentencepiece, naive_merge

JA, JA_HELDOUT, EN = (str(QUICKSTART / name) for name in ("ja_train.jsonl", "ja_heldout.jsonl", "en_heldout.jsonl"))
FAMILIES = {"small": "byte-level BPE", "sp": "SentencePiece BPE", "tik": "tiktoken BPE"}
SIZES = {"small": 600, "sp": 800, "tik": 854}
NATIVE = {"small": set(), "sp": {"tokenizer.model"}, "tik": {"original/tokenizer.model"}}
FILES = {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "extension.json", "report.json", "report.html"}

Extended = dict[str, tuple[Path, str]]


@pytest.fixture(scope="session")
def extended(bases: dict[str, Path], ja_corpus: str, tmp_path_factory: pytest.TempPathFactory) -> Extended:
    """Each base extended by the command, and what it printed."""
    import contextlib
    import io

    root = tmp_path_factory.mktemp("extended")
    results = {}
    for name, base in bases.items():
        printed = io.StringIO()
        command = [
            "tokenizer",
            "extend",
            "--base",
            str(base),
            "--corpus",
            ja_corpus,
            "--new-tokens",
            "600",
            "--out",
            str(root / name),
            "--unchanged",
            EN,
            "--pad-to",
            "64",
        ]
        with contextlib.redirect_stdout(printed):
            assert main(command) == 0
        results[name] = (root / name, printed.getvalue())
    return results


every_family = pytest.mark.parametrize("name", FAMILIES)


@every_family
def test_extend_writes_a_whole_folder(extended: Extended, name: str) -> None:
    folder, printed = extended[name]
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == FILES | NATIVE[name]
    assert [path for path in folder.parent.iterdir() if path.name not in FAMILIES] == [], "no temporary folder is left"
    lines = printed.splitlines()
    assert lines[0] == f"{FAMILIES[name]}: {SIZES[name]:,} + 600 tokens = {SIZES[name] + 600:,}; all criteria hold."
    assert lines[1].split() == ["characters", "per", "token", "base", "extended"]
    assert re.fullmatch(rf"{re.escape(Path(JA).name)} \(held out\) +\d\.\d{{3}} +\d\.\d{{3}}", lines[2])
    assert lines[3:] == [f"Tokenizer: {folder}", f"Report: {folder / 'report.html'}"]
    assert (folder / "chat_template.jinja").read_text(encoding="utf-8") == TEMPLATE


@every_family
def test_what_was_written_is_the_tokenizer_in_every_runtime(extended: Extended, bases: dict[str, Path], name: str) -> None:
    loaded = load_tokenizer(extended[name][0])
    base = load_tokenizer(bases[name])
    assert loaded.tokenizer.family == FAMILIES[name]
    assert loaded.tokenizer.vocab_size == SIZES[name] + 600
    texts = documents("ja_heldout.jsonl")
    ids = [runtime.encode(texts) for runtime in runtimes_of(loaded)]
    assert len(ids) == (1 if name == "small" else 2)
    assert all(results == ids[0] for results in ids)
    english = documents("en_heldout.jsonl")
    assert loaded.tokenizer.encode_batch(english) == base.tokenizer.encode_batch(english)
    record = json.loads((extended[name][0] / "extension.json").read_text(encoding="utf-8"))
    assert [loaded.tokenizer.token_bytes[token["id"]].hex() for token in record["tokens"]] == [token["bytes"] for token in record["tokens"]]


@every_family
def test_the_report_says_what_was_done(extended: Extended, bases: dict[str, Path], name: str) -> None:
    folder, _ = extended[name]
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert (report["format"], report["kind"]) == (2, "extension")
    assert report["base"]["family"] == FAMILIES[name]
    assert report["base"]["name"] == bases[name].name
    assert str(bases[name].parent) not in (folder / "report.json").read_text(encoding="utf-8"), "no path of a disk"
    assert str(bases[name].parent) not in (folder / "report.html").read_text(encoding="utf-8")
    assert re.fullmatch("[0-9a-f]{64}", report["base"]["sha256"])
    assert report["extension"] == {
        **{"new_tokens": 600, "added_bytes": 0, "vocab_size": SIZES[name] + 600, "padded_vocab_size": -(-(SIZES[name] + 600) // 64) * 64},
        **{"boundaries": "none", "max_token_chars": 12, "min_count": 2, "normalisation": "none"},
    }
    assert report["corpus"][0]["source"] == Path(JA).name
    heldout = NUM_DOCUMENTS // 20
    assert report["corpus"][0]["documents"] == NUM_DOCUMENTS - heldout
    for key in ("by_script", "by_length", "by_use"):
        assert sum(row["tokens"] for row in report[key]) == 600, key
    assert len(report["most_used"]) == 60
    assert all(c["failures"] == 0 for c in report["criteria"] if c["name"] != "llama_cpp_check_string")
    natives = {"small": set(), "sp": {"sentencepiece"}, "tik": {"tiktoken"}}[name]
    assert {c["runtime"] for c in report["criteria"]} == {"all", "tokenizers", "transformers"} | natives
    measure = report["measures"][0]
    assert (measure["source"], measure["base"]["documents"]) == (f"{Path(JA).name} (held out)", heldout)
    assert measure["extended"]["chars_per_token"] > 1.5 * measure["base"]["chars_per_token"]
    assert report["samples"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Tokenizer extension" in page
    assert FAMILIES[name] in page


@every_family
def test_prefix_keeps_the_first_new_tokens(extended: Extended, bases: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    out = tmp_path / "out"
    assert main(["tokenizer", "prefix", str(extended[name][0]), "--new-tokens", "250", "--out", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["first_new_id"], printed["new_tokens"], printed["vocab_size"]) == (SIZES[name], 250, SIZES[name] + 250)
    assert {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} == (FILES - {"report.json", "report.html"}) | NATIVE[name]
    longer, shorter = (json.loads((folder / "extension.json").read_text(encoding="utf-8"))["tokens"] for folder in (extended[name][0], out))
    assert [token["bytes"] for token in shorter] == [token["bytes"] for token in longer[:250]]
    assert main(["tokenizer", "verify", str(bases[name]), str(out), "--texts", JA_HELDOUT, EN]) == 0


def test_auto_takes_what_the_text_can_teach(bases: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["tokenizer", "extend", "--base", str(bases["sp"]), "--corpus", JA_HELDOUT, "--new-tokens", "auto"]
    sizes = {}
    for more in ([], ["--min-count", "40"]):
        assert main([*command, *more, "--out", str(tmp_path / f"out{len(more)}"), "--json"]) == 0
        extension = json.loads(capsys.readouterr().out)["extension"]
        sizes[extension["min_count"]] = extension["new_tokens"]
    assert sizes.keys() == {20, 40}
    assert sizes[20] > sizes[40] > 10


def test_extend_prints_its_report_as_json(bases: dict[str, Path], ja_corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    command = [
        "tokenizer",
        "extend",
        "--base",
        str(bases["sp"]),
        "--corpus",
        ja_corpus,
        JA_HELDOUT,
        "--weights",
        "1",
        "0.5",
        "--new-tokens",
        "40",
        "--out",
        str(out),
    ]
    options = ["--boundaries", "word", "--max-token-chars", "3", "--min-count", "3", "--no-cover", "--json"]
    assert main([*command, *options]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert [source["weight"] for source in printed["corpus"]] == [1.0, 0.5]
    extension = printed["extension"]
    assert (extension["boundaries"], extension["max_token_chars"], extension["min_count"]) == ("word", 3, 3)
    assert max(row["chars"] for row in printed["by_length"]) <= 3


def test_extend_repeats_byte_for_byte(bases: dict[str, Path], tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert main(["tokenizer", "extend", "--base", str(bases["sp"]), "--corpus", JA_HELDOUT, "--new-tokens", "50", "--out", str(tmp_path / name)]) == 0
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_extend_from_a_tokenizer_model_alone(bases: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    base = bases["sp"] / "tokenizer.model"
    assert main(["tokenizer", "extend", "--base", str(base), "--corpus", JA_HELDOUT, "--new-tokens", "50", "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == FILES - {"chat_template.jinja"} | {"tokenizer.model"}


def test_extend_reads_packed_and_plain_text_and_patterns(bases: dict[str, Path], tmp_path: Path) -> None:
    texts = documents("ja_heldout.jsonl")
    (tmp_path / "a.txt").write_text("\n\n".join(texts[:10]), encoding="utf-8")
    with gzip.open(tmp_path / "b.txt.gz", "wt", encoding="utf-8") as file:
        file.write("\n\n".join(texts[10:]))
    (tmp_path / "c.jsonl").write_text("".join(json.dumps({"body": text}) + "\n" for text in texts), encoding="utf-8")
    command = ["tokenizer", "extend", "--base", str(bases["small"]), "--new-tokens", "30"]
    assert main([*command, "--out", str(tmp_path / "one"), "--corpus", str(tmp_path / "*.txt*")]) == 0
    assert main([*command, "--out", str(tmp_path / "two"), "--corpus", str(tmp_path / "c.jsonl"), "--field", "body"]) == 0


@pytest.mark.parametrize("kind", ["file", "folder", "empty folder"])
def test_extend_refuses_what_exists(bases: dict[str, Path], tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("my work", encoding="utf-8")
    else:
        out.mkdir()
    if kind == "folder":
        (out / "mine").write_text("my work", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    assert main(["tokenizer", "extend", "--base", str(bases["small"]), "--corpus", JA, "--new-tokens", "9", "--out", str(out)]) == 2
    assert capsys.readouterr() == ("", f"error: {out}: exists already; give another --out, or move it away\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_criterion_that_does_not_hold_is_exit_code_4_and_leaves_nothing(
    bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With scores that are all the same, as careless scripts write them."""
    from jp_adapt.tokenizer import sentencepiece

    monkeypatch.setattr(sentencepiece.np, "spacing", lambda _: 0.0)
    monkeypatch.setattr(sentencepiece, "max", lambda *_: 0.0, raising=False)
    out = tmp_path / "out"
    assert main(["tokenizer", "extend", "--base", str(bases["sp"]), "--corpus", JA, "--new-tokens", "1500", "--out", str(out)]) == 4
    printed, error = capsys.readouterr()
    assert printed == ""
    assert error.startswith("error: the extended tokenizer does not hold these criteria, each must be 0: ")
    assert "runtimes_disagree (sentencepiece): " in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@every_family
def test_verify_holds(extended: Extended, bases: dict[str, Path], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokenizer", "verify", str(bases[name]), str(extended[name][0]), "--texts", JA_HELDOUT, EN]) == 0
    printed, error = capsys.readouterr()
    assert error == ""
    lines = printed.splitlines()
    assert lines[-1] == "All criteria hold."
    assert lines[0].split() == ["criterion", "runtime", "failures", "checked"]
    rows = [line.split() for line in lines[1:-1] if not line.startswith("  ")]
    assert {row[1] for row in rows} == {"all", "tokenizers", "transformers"} | {"small": set(), "sp": {"sentencepiece"}, "tik": {"tiktoken"}}[name]
    assert {row[2] for row in rows if row[0] != "llama_cpp_check_string"} == {"0"}
    assert len({row[0] for row in rows}) == (8 if name == "small" else 9)


def test_verify_fails_on_a_naive_merge_and_says_why(bases: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = naive_merge((bases["sp"] / "tokenizer.model").read_bytes(), documents("ja_train.jsonl")[:60], 1300)
    merged = write_folder(tmp_path / "merged", load_sentencepiece(data).tokenizer.spec, data)
    command = ["tokenizer", "verify", str(bases["sp"]), str(merged), "--texts", JA_HELDOUT, EN]
    assert main(command) == 4
    printed, error = capsys.readouterr()
    assert error == ""
    lines = printed.splitlines()
    assert lines[-1] == "Not a safe extension: each number must be 0 (llama_cpp_check_string apart)."
    row = next(line.split() for line in lines if line.split()[:2] == ["changed_lines", "tokenizers"])
    assert int(row[2]) > 0
    assert any(re.fullmatch(r"  changed_lines \(tokenizers\): '.+'", line) for line in lines), "an example follows"
    assert main([*command, "--json", "--out", str(tmp_path / "report")]) == 4
    report = json.loads(capsys.readouterr().out)
    assert report["holds"] is False
    assert report == json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"report.json", "report.html"}
    failed = {c["name"]: c for c in report["criteria"] if c["failures"]}
    assert "changed_lines" in failed
    assert failed["changed_lines"]["examples"]


def test_verify_of_the_wrong_way_round_fails(extended: Extended, bases: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tokenizer", "verify", str(extended["small"][0]), str(bases["small"]), "--texts", JA_HELDOUT, "--json"]) == 4
    failed = {c["name"] for c in json.loads(capsys.readouterr().out)["criteria"] if c["failures"]}
    assert {"base_ids_changed", "longer_inputs"} <= failed
    assert main(["tokenizer", "verify", str(extended["small"][0]), str(bases["small"]), "--texts", JA_HELDOUT]) == 4
    last = capsys.readouterr().out.splitlines()[-1]
    sizes = f"{bases['small']} has {SIZES['small']:,} tokens, and {extended['small'][0]} has {SIZES['small'] + 600:,}"
    assert last == f"An extension has more tokens than its base: {sizes}. Are the two swapped? The base comes first."


def test_help_names_the_formats_that_are_read(capsys: pytest.CaptureFixture[str], bases: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["tokenizer", "compare", "--help"])
    formats = ".jsonl, .csv and .txt (also as .gz, .zst or .xz) and from .parquet"
    assert formats in " ".join(capsys.readouterr().out.split())
    (tmp_path / "texts.pdf").touch()
    assert main(["tokenizer", "compare", str(bases["small"]), "--texts", str(tmp_path / "texts.pdf")]) == 3
    assert f"texts.pdf: texts are read from {formats}; convert this file" in capsys.readouterr().err
    (tmp_path / "texts.jsonl").write_text('{"id": 1, "body": "a"}\n', encoding="utf-8")
    assert main(["tokenizer", "compare", str(bases["small"]), "--texts", str(tmp_path / "texts.jsonl")]) == 3
    assert "texts.jsonl:1: no text in field 'text'; there are: id, body; name the right one: " in (said := capsys.readouterr().err)
    assert "--field NAME" in said


def test_compare_prints_a_table(extended: Extended, bases: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    tokenizers = [str(bases["sp"]), str(extended["sp"][0]), str(bases["tik"])]
    assert main(["tokenizer", "compare", *tokenizers, "--texts", JA_HELDOUT, EN]) == 0
    printed, error = capsys.readouterr()
    assert error == ""
    head, *rows = printed.splitlines()
    assert head.split() == ["tokenizer", "text", "chars/token", "bytes/token", "tokens/word", "byte", "%", "broken", "%", "Renyi", "vocab", "%"]
    assert len(rows) == 6
    assert len({len(row) for row in (head, *rows)}) == 1, "one width"
    named = [row.split()[:2] for row in rows]
    assert [text for _, text in named] == [Path(text).name for text in (JA_HELDOUT, EN) for _ in tokenizers]
    assert len({name for name, _ in named}) == 3, "as much of a path as tells it from the others"
    assert all(path.endswith(name) for path, (name, _) in zip(tokenizers, named, strict=False))
    ratios = [float(row.split()[2]) for row in rows]
    assert ratios[1] > 1.5 * ratios[0]
    assert ratios[3] == ratios[4], "English is cut as before"


def test_compare_as_json_and_page(extended: Extended, bases: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report"
    assert main(["tokenizer", "compare", str(bases["small"]), str(extended["tik"][0]), "--texts", JA_HELDOUT, "--json", "--out", str(out)]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert report == json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert [tokenizer["name"] for tokenizer in report["tokenizers"]] == ["small", "tik"]
    assert [tokenizer["family"] for tokenizer in report["tokenizers"]] == ["byte-level BPE", "tiktoken BPE"]
    assert report["sources"] == [Path(JA_HELDOUT).name]
    texts = documents("ja_heldout.jsonl")
    for row in report["rows"]:
        measure = row["measure"]
        assert measure["chars"] == sum(map(len, texts))
        assert measure["documents"] == len(texts)
        assert {
            "chars_per_token",
            "bytes_per_token",
            "tokens_per_word",
            "byte_fallback_share",
            "broken_share",
            "renyi_efficiency",
            "vocabulary_use",
        } <= measure.keys()
    assert "<svg" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("action", ["verify", "compare"])
def test_a_report_folder_that_exists_is_refused(bases: dict[str, Path], tmp_path: Path, action: str, capsys: pytest.CaptureFixture[str]) -> None:
    base = str(bases["small"])
    assert main(["tokenizer", action, base, base, "--texts", EN, "--out", str(tmp_path)]) == 2
    printed, error = capsys.readouterr()
    assert printed == ""
    assert f"{tmp_path}: exists already" in error


def test_the_command_as_a_process(bases: dict[str, Path], tmp_path: Path) -> None:
    """Warnings of libraries would stand on stderr: there are none."""
    command = [
        sys.executable,
        "-m",
        "jp_adapt",
        "tokenizer",
        "extend",
        "--base",
        str(bases["sp"]),
        "--corpus",
        JA_HELDOUT,
        "--new-tokens",
        "20",
        "--out",
        "out",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    wrong = subprocess.run([*command[:-1], "out"], cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert (wrong.returncode, wrong.stdout, wrong.stderr) == (2, "", "error: out: exists already; give another --out, or move it away\n")


@pytest.mark.parametrize("arguments", [["tokenizer", "--help"], ["tokenizer", "extend", "--help"], ["tokenizer", "verify", "--help"]])
def test_help_loads_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    from tests.cli.test_cli import LOADED, _run

    done = _run(*arguments, cwd=tmp_path, program=("-c", LOADED))
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1] == "loaded:"
