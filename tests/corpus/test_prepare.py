"""A corpus is prepared whole or not at all, to the same bytes whatever was killed and however many processes worked."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from jp_adapt.core.errors import InputError, JpAdaptError, RunFolderError, UsageError
from jp_adapt.corpus import deduplicate, parts
from jp_adapt.corpus.assemble import Output
from jp_adapt.corpus.deduplicate import find_exact_duplicates as find_duplicates
from jp_adapt.corpus.deduplicate import fingerprint_exact as fingerprint
from jp_adapt.corpus.figures import CorpusFigures
from jp_adapt.corpus.lines import OnError
from jp_adapt.corpus.parts import Work
from jp_adapt.corpus.prepare import SourceReader, prepare_corpus
from jp_adapt.corpus.shards import TokenShards, token_dtype
from jp_adapt.corpus.sources import iter_documents
from jp_adapt.corpus.steps import Document, Outcome, Pair, pair_of

IDENTITY = {"recipe": "test"}


def encode(texts: Sequence[str]) -> list[list[int]]:
    """A token a character; a text of nothing but x has none."""
    return [[ord(char) % 5000 for char in text if char != "x"] for text in texts]


class Drop:
    """A step that drops documents with a "!" and turns "ａ" into "a"."""

    name = "drop"

    def __call__(self, text: str) -> Outcome:
        return Outcome(None, "shout") if "!" in text else Outcome(text.replace("ａ", "a"))


def corpus(number: int = 40, seed: int = 0) -> dict[str, list[str]]:
    rng = random.Random(seed)
    ja = ["".join(rng.choices("日本語の文章をaｂ", k=rng.randrange(1, 60))) for _ in range(number)]
    return {"ja": [*ja[:10], "叫ぶ!", ja[3], "xx", "ａ", *ja[10:], ja[20]], "en": [f"text {n}" for n in range(number // 4)]}


def readers(texts: dict[str, list[str]]) -> list[SourceReader]:
    """Each source in two files of about the same size."""

    def read(name: str, half: int, on_error: OnError) -> Iterator[tuple[str, str]]:
        middle = len(texts[name]) // 2
        return ((f"{name}:{line}", text) for line, text in enumerate(texts[name], start=1) if (line > middle) == half)

    return [SourceReader(name, (partial(read, name, 0), partial(read, name, 1))) for name in texts]


def prepare(out: Path, texts: dict[str, list[str]], output: Output | None = None, processes: int = 1) -> dict[str, object]:
    work = Work(tuple(texts), (Drop(),), encode, "<u2", fingerprint)
    return prepare_corpus(out, readers(texts), work, output or Output(300, find_duplicates, texts=True), identity=IDENTITY, processes=processes)


def expected(texts: dict[str, list[str]]) -> dict[str, list[str]]:
    """What has to be left, said in another way."""
    seen: set[str] = set()
    left: dict[str, list[str]] = {}
    for name, documents in texts.items():
        cleaned = [text.replace("ａ", "a") for text in documents if "!" not in text and text.strip("x")]
        left[name] = [text for text in cleaned if not (text in seen or seen.add(text))]  # type: ignore[func-returns-value]
    return left


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_CHARS", 200)


def test_the_shards_hold_what_is_left_in_corpus_order(tmp_path: Path) -> None:
    texts = corpus()
    prepare(tmp_path / "out", texts)
    shards = TokenShards(tmp_path / "out")
    assert len(shards.shards) > 2
    for name, left in expected(texts).items():
        documents = shards.documents(name)
        assert [documents[index].tolist() for index in range(len(documents))] == encode(left)
        assert documents.chars.tolist() == [len(text) for text in left]
        assert documents.sizes.tolist() == [len(ids) for ids in encode(left)]


def test_numpy_alone_reads_the_shards(tmp_path: Path) -> None:
    """The lines that the docstring of `shards` and docs/corpus.md give."""
    texts = corpus()
    prepare(tmp_path / "out", texts)
    folder, results = tmp_path / "out", []
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    for number in range(len(index["shards"])):
        tokens = np.memmap(folder / f"tokens-{number:05d}.bin", index["dtype"], "r")
        offsets = np.memmap(folder / f"offsets-{number:05d}.bin", "uint64", "r")
        sources = np.memmap(folder / f"sources-{number:05d}.bin", "uint16", "r")
        for document, source in enumerate(sources):
            results.append((index["sources"][source]["name"], tokens[offsets[document] : offsets[document + 1]].tolist()))
    assert results == [(name, ids) for name, left in expected(texts).items() for ids in encode(left)]


def test_every_document_is_accounted_for(tmp_path: Path) -> None:
    texts = corpus()
    report = json.loads(json.dumps(prepare(tmp_path / "out", texts).as_dict()))
    left = expected(texts)
    for source in report["sources"]:
        name = source["name"]
        steps = [report["steps"][step][name] for step in ("drop", "encode", "deduplicate")]
        assert steps[0]["documents_in"] == len(texts[name])
        assert steps[-1]["documents_kept"] == source["documents"] == len(left[name])
        assert source["characters"] == steps[-1]["characters_kept"] == sum(map(len, left[name])) == sum(source["scripts"].values())
        assert source["tokens"] == sum(map(len, encode(left[name])))
        assert sum(source["lengths"]) == source["documents"]
        for before, after in pairwise(steps):
            assert before["documents_kept"] == after["documents_in"]
            assert before["characters_kept"] == after["characters_in"]
        for step in steps:
            assert step["documents_in"] == step["documents_kept"] + sum(documents for documents, _ in step["dropped"].values())
    ja = report["steps"]
    assert ja["drop"]["ja"]["samples"]["shout"][0]["place"] == "ja:11"
    assert ja["encode"]["ja"]["dropped"] == {"no token": [1, 2]}
    assert [sample["place"] for sample in ja["deduplicate"]["ja"]["samples"]["exact duplicate"]] != []


def test_the_texts_are_those_of_the_tokens(tmp_path: Path) -> None:
    texts = corpus()
    prepare(tmp_path / "out", texts)
    assert list(iter_documents(tmp_path / "out" / "texts.jsonl.zst")) == [text for left in expected(texts).values() for text in left]


def test_near_duplicates_are_looked_for_across_parts_and_sources(tmp_path: Path) -> None:
    """What is left is what the decision over the texts in memory leaves, and the texts that it compares come from the parts they lie in."""
    rng = random.Random(7)
    ja = ["".join(rng.choices("日本語の文章を書いて読む、検索する。", k=90)) for _ in range(30)]
    near = [text[:40] + "×" + text[41:] for text in ja[::3]]
    texts = {"ja": [*ja[:20], *near, ja[5]], "en": [*ja[20:], near[-1] + "!?"]}
    flat = [text for results in texts.values() for text in results]
    of, _ = deduplicate.find_duplicates(*deduplicate.fingerprint(flat), lambda documents: flat.__getitem__)
    work = Work(tuple(texts), (), encode, "<u2", deduplicate.fingerprint)
    output = Output(300, deduplicate.find_duplicates, texts=True)
    report = prepare_corpus(tmp_path / "out", readers(texts), work, output, identity=IDENTITY)
    assert list(iter_documents(tmp_path / "out" / "texts.jsonl.zst")) == [text for text, repeats in zip(flat, of.tolist(), strict=True) if repeats < 0]
    dropped = [report.steps["deduplicate"][name].dropped for name in texts]
    assert [{reason: count for reason, (count, _) in results.items()} for results in dropped] == [
        {"exact duplicate": 1, "near duplicate": 7},
        {"near duplicate": 4},
    ]
    for step in report.steps["deduplicate"].values():
        assert [pair.place for pair in step.pairs] == [sample.place for sample in step.samples["near duplicate"]]
        for pair in step.pairs:
            dropped, kept = ((source == "en") * len(texts["ja"]) + int(line) - 1 for source, line in (pair.place.split(":"), pair.kept_place.split(":")))
            assert (of[dropped], pair.text, pair.kept) == (kept, flat[dropped], flat[kept])


def test_a_pair_is_cut_to_where_it_differs() -> None:
    long = "あ" * 3000
    pair = pair_of(Document(f"{long}雨{long}", "ja", "a:1"), Document(f"{long}雪", "ja", "a:2"))
    assert pair == Pair("a:1", f"{'あ' * 100}雨{'あ' * 899}", "a:2", f"{'あ' * 100}雪")
    assert pair_of(Document("同じ", "ja", "a:1"), Document("同じ。", "ja", "a:2")) == Pair("a:1", "同じ", "a:2", "同じ。")


def test_any_number_of_processes_writes_the_same_bytes(tmp_path: Path) -> None:
    texts = corpus()
    for processes in (1, 2, 3):
        prepare(tmp_path / f"out{processes}", texts, processes=processes)
        assert content(tmp_path / f"out{processes}") == content(tmp_path / "out1")
        assert not (tmp_path / f"out{processes}.partial").exists()


PROGRAM = """
import sys, time
from functools import partial
from itertools import pairwise
from pathlib import Path
import tests.corpus.test_prepare as t
from jp_adapt.corpus import deduplicate, parts

if __name__ == "__main__":
    parts.PART_CHARS = 200
    slow = parts.write_bytes
    def write_bytes(path, data):
        time.sleep(0.004)
        slow(path, data)
        time.sleep(0.004)
    parts.write_bytes = write_bytes
    print("ready", flush=True)
    t.prepare(Path(sys.argv[1]), t.corpus(120), processes=int(sys.argv[2]))
"""


def start(tmp_path: Path, out: Path, processes: int) -> subprocess.Popen[bytes]:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    return subprocess.Popen([sys.executable, str(program), str(out), str(processes)], stdout=subprocess.PIPE, env=environment, start_new_session=True)


def test_kill_9_at_random_moments_then_again_writes_the_same_bytes(tmp_path: Path) -> None:
    prepare(tmp_path / "straight", corpus(120))
    rng = random.Random()  # other moments on every run
    moments = []
    parts = tmp_path / "out.partial" / "parts"
    for attempt in range(10):
        process = start(tmp_path, tmp_path / "out", processes=1)
        assert process.stdout is not None
        process.stdout.readline()
        moments.append(rng.uniform(0, 0.1))
        time.sleep(moments[-1])
        while attempt == 5 and not list(parts.glob("part-*.npz")) and process.poll() is None:  # once for certain with work to resume from
            time.sleep(0.001)
        process.kill()
        process.wait()
        process.stdout.close()
        if attempt == 5:
            assert list(parts.glob("part-*.npz")) or (tmp_path / "out").exists(), moments
    prepare(tmp_path / "out", corpus(120))
    assert content(tmp_path / "out") == content(tmp_path / "straight"), moments
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "program.py", "straight"]


def test_workers_end_with_a_killed_parent_and_their_parts_are_used(tmp_path: Path) -> None:
    process = start(tmp_path, tmp_path / "out", processes=2)
    assert process.stdout is not None
    process.stdout.readline()
    folder = tmp_path / "out.partial" / "parts"
    deadline = time.monotonic() + 60
    while not list(folder.glob("part-*.npz")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    process.stdout.close()
    while _group_lives(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _group_lives(process.pid)
    assert list(folder.glob("part-*.npz"))
    prepare(tmp_path / "out", corpus(120))
    prepare(tmp_path / "straight", corpus(120))
    assert content(tmp_path / "out") == content(tmp_path / "straight")


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_worker_is_told_and_the_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = corpus() | {"en": ["kill"]}
    work = Work(("ja", "en"), (KillOnce(str(tmp_path / "killed")),), encode, "<u2", fingerprint)
    with pytest.raises(JpAdaptError, match="a worker process was killed"):
        prepare_corpus(tmp_path / "out", readers(texts), work, Output(), identity=IDENTITY, processes=2)
    assert not (tmp_path / "out").exists()
    report = prepare_corpus(tmp_path / "out", readers(texts), work, Output(), identity=IDENTITY, processes=2)
    assert report.sources[1].documents == 1


class KillOnce:
    """A step that kills its own process, the first time that it sees "kill"."""

    name = "kill"

    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(self, text: str) -> Outcome:
        if text == "kill" and not Path(self.path).exists():
            Path(self.path).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Outcome(text)


def test_a_full_disk_is_told_and_leaves_no_half_output(tmp_path: Path) -> None:
    """The limit on the size of a file stands for the disk: the system refuses the write in the same way."""
    code = (
        "import resource, sys; from pathlib import Path; import tests.corpus.test_prepare as t\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))\n"
        "t.prepare(Path(sys.argv[1]), t.corpus(400), t.Output(10**9, t.find_duplicates))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    for limit in (1500, 20_000):  # in a part, and in a shard
        ran = subprocess.run([sys.executable, "-c", code, str(tmp_path / "out"), str(limit)], capture_output=True, text=True, env=environment, check=False)
        assert "JpAdaptError" in ran.stderr
        assert "cannot be written (File too large); free some space or choose another place, then run again" in ran.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["out.partial"]
        assert not list((tmp_path / "out.partial").rglob("*.tmp"))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_another_corpus_is_never_touched(tmp_path: Path) -> None:
    texts = corpus()
    prepare(tmp_path / "out", texts)
    before = content(tmp_path / "out")
    work = Work(tuple(texts), (), encode, "<u2", None)
    with pytest.raises(RunFolderError, match=r"out: holds another corpus; these settings differ:\n  recipe: "):
        prepare_corpus(tmp_path / "out", readers(texts), work, Output(), identity={"recipe": "other"})
    assert prepare(tmp_path / "out", texts) == CorpusFigures.read(tmp_path / "out" / "report.json"), "the same one is done already"
    assert content(tmp_path / "out") == before
    (tmp_path / "mine").mkdir()
    with pytest.raises(UsageError, match="mine: exists already and is not a prepared corpus"):
        prepare(tmp_path / "mine", texts)


def test_work_that_finished_nothing_holds_no_folder(tmp_path: Path) -> None:
    partial = tmp_path / "out.partial"
    (partial / "parts").mkdir(parents=True)
    (partial / "identity.json").write_text('{"recipe": "one with a wrong file"}', encoding="utf-8")
    (partial / "parts" / "half").write_text("", encoding="utf-8")
    prepare(tmp_path / "out", corpus())
    assert (tmp_path / "out" / "index.json").is_file()
    assert not partial.exists()


def test_a_folder_that_cannot_be_made_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for out, message in (
        (Path(), "exists already and is not a prepared corpus"),
        (Path(".."), "exists already and is not a prepared corpus"),
        (Path("/"), "is not a folder that a corpus can be made as"),
        (Path("a" * 255), "a name of 255 bytes, and with '.partial' at most 255 are allowed; shorten it"),
        (Path("名" * 83), "a name of 249 bytes"),
    ):
        with pytest.raises(UsageError, match=message):
            prepare(out, corpus())
    assert not list(tmp_path.iterdir())
    prepare(Path("名" * 82), corpus(24))
    monkeypatch.chdir("名" * 82)
    assert prepare(Path(), corpus(24)) == CorpusFigures.read(Path("report.json")), "the corpus that one stands in"


def test_a_source_that_refuses_stops_and_one_that_skips_counts(tmp_path: Path) -> None:
    def read(on_error: OnError) -> Iterator[tuple[str, str]]:
        yield "x:1", "a"
        for line in range(2, 40):
            on_error(InputError(f"x:{line}: broken"))
        yield "x:40", "b"

    work = Work(("x",), (), encode, "<u2", None)
    with pytest.raises(InputError, match=r"source 'x': x:2: broken\. To count such documents and continue: on_error: skip in the source"):
        prepare_corpus(tmp_path / "out", [SourceReader("x", (read,))], work, Output(), identity=IDENTITY)
    report = prepare_corpus(tmp_path / "out", [SourceReader("x", (read,), skip_errors=True)], work, Output(), identity=IDENTITY)
    problems = report.sources[0].problems
    assert problems.count == 38
    assert problems.first[:2] == ["x:2: broken", "x:3: broken"]
    assert len(problems.first) == 20


def test_a_corpus_of_which_nothing_is_left_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no document is left after the steps"):
        prepare(tmp_path / "out", {"ja": ["!", "x"]})
    assert not (tmp_path / "out").exists()


def test_a_damaged_corpus_is_named(tmp_path: Path) -> None:
    prepare(tmp_path / "out", corpus())
    path = tmp_path / "out" / "tokens-00001.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(InputError, match=r"tokens-00001\.bin: has [\d,]+ bytes, and the index says [\d,]+; copy the whole folder again"):
        TokenShards(tmp_path / "out")
    path.unlink()
    with pytest.raises(InputError, match=r"tokens-00001\.bin: is missing"):
        TokenShards(tmp_path / "out")
    with pytest.raises(InputError, match="no prepared corpus"):
        TokenShards(tmp_path)


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_536, "uint16"), (65_537, "uint32"), (500, "uint16")])
def test_ids_take_the_smallest_type_that_holds_them(vocab_size: int, dtype: str) -> None:
    assert token_dtype(vocab_size) == np.dtype(dtype)
