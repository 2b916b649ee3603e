"""Odd inputs of every kind, each for one command: a right file with something wrong in it. A kind is a function that writes the files of a case and
gives the arguments."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.faults.odd import JSON_RAW, NAMES, NUMBERS, YAML_VALUES, change_bytes, change_json, change_line_value, change_text
from tests.faults.world import World

Kind = Callable[[random.Random, World, Path], list[str]]

TEMPLATES = [
    *("{{ 1/0 }}", "{{ x", "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", "{{ 'a' * 10**9 }}", "{{ missing }}", "{{ a.b.c }}"),
    *(
        "{{ range(10**9) | list }}",
        "{{ ('a' * 9999) | replace('a', 'a' * 9999) }}",
        "{{ 10 ** (10 ** 9) }}",
        "{{ a | center(10**9) }}",
        "{{ a.center(10**9) }}",
    ),
    *("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{{ " + "(" * 2_000 + "}}", "{{ a.encode('foo') }}", "{{ 1e400 | int }}", "{{ '%999999999d' % 1 }}"),
    *(
        "{% include 'x' %}",
        "{{ self }}",
        "{{ a.__class__ }}",
        "{{ a() }}",
        "{{ a ~ missing }}",
        "{{ a | fromjson }}",
        "{{ ('[' * 999) | fromjson }}",
        "\x00",
        "{# ",
    ),
    *(
        "{% set x = a %}" + "{% set x = x ~ x %}" * 60 + "{{ x }}",
        "{{ [a] | map('nothing') | list }}",
        "{{ a | sum }}",
        "{{ lipsum() }}",
        "{{ cycler }}",
        "{% raw %}",
    ),
]


def _recipe(rng: random.Random, text: str, folder: Path) -> Path:
    path = folder / "odd.yaml"
    how = rng.randrange(4)
    changed = (
        change_line_value(rng, text) if how < 2 else change_text(rng, text, YAML_VALUES) if how == 2 else change_line_value(rng, change_line_value(rng, text))
    )
    path.write_bytes(changed.encode("utf-8", "surrogatepass") if rng.random() < 0.95 else change_bytes(rng, changed.encode("utf-8", "surrogatepass")))
    return path


def recipes(rng: random.Random, world: World, folder: Path) -> list[str]:
    shutil.copytree(world.recipe.parent, folder, dirs_exist_ok=True)
    return [rng.choice(["check", "check", "plan"]), str(_recipe(rng, world.recipe.read_text(encoding="utf-8"), folder).name)]


def corpus_recipes(rng: random.Random, world: World, folder: Path) -> list[str]:
    shutil.copytree(world.corpus.parent, folder, dirs_exist_ok=True)
    path = _recipe(rng, world.corpus.read_text(encoding="utf-8"), folder)
    return rng.choice([["check", f"./{path.name}"], ["corpus", "prepare", f"./{path.name}", "--out", "out"]])


def settings(rng: random.Random, world: World, folder: Path) -> list[str]:
    keys = [
        "seed",
        "name",
        "title",
        "base",
        "base.path",
        "sources.ja.path",
        "stages.tok.new_tokens",
        "stages.cpt.budget",
        "stages.cpt.optimizer.lr",
        "stages.²",
    ]
    keys += ["stages.rows.data", "stages.eval.benchmarks", "stages.eval.data", "stages.eval.suite", "stages.0.id", "stages.99.id", "x.y.z", "", ".", "a." * 99]
    chosen = [f"{rng.choice(keys)}={rng.choice(YAML_VALUES)}" for _ in range(rng.randint(1, 3))]
    return ["check", str(world.recipe), *(part for entry in chosen for part in ("-s", entry))]


def declarations(rng: random.Random, world: World, folder: Path) -> list[str]:
    shutil.copytree(world.evaluation.parent, folder, dirs_exist_ok=True)
    path = folder / "bench.yaml"
    text = path.read_text(encoding="utf-8")
    if rng.random() < 0.5:
        lines = text.split("\n")
        index = rng.choice([n for n, line in enumerate(lines) if "{{" in line or "answer:" in line])
        lines[index] = f"{lines[index].partition(':')[0]}: {json.dumps(rng.choice(TEMPLATES))}"
        text = "\n".join(lines)
    else:
        text = change_line_value(rng, text) if rng.random() < 0.7 else change_text(rng, text, YAML_VALUES)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return ["check", "./evaluation.yaml"]


def data_files(rng: random.Random, world: World, folder: Path) -> list[str]:
    shutil.copytree(world.evaluation.parent, folder, dirs_exist_ok=True)
    text, reader, rows = (folder / "items.jsonl").read_bytes(), "jsonl", ""
    records = [json.loads(line) for line in text.splitlines()]
    kind = rng.choice(["jsonl", "json", "csv", "xml", "python", "gz", "zip", "parquet", "lines"])
    name = {"gz": "odd.jsonl.gz", "zip": "odd.zip", "python": "odd.py"}.get(kind, f"odd.{kind}")
    if kind == "jsonl":
        content = "\n".join([*(json.dumps(record) for record in records[:3]), change_json(rng, rng.choice(records))]).encode("utf-8", "surrogatepass")
    elif kind == "json":
        content, reader = change_json(rng, records).encode("utf-8", "surrogatepass"), "json"
    elif kind == "csv":
        content = "\n".join([",".join(records[0]), *(",".join(str(value) for value in record.values()) for record in records)]).encode()
        content, reader = change_bytes(rng, content), rng.choice(["csv", "tsv"])
    elif kind == "xml":
        content, reader, rows = change_bytes(rng, b"<r>" + b"<q id='1'><a>x</a><b/></q>" * 9 + b"</r>"), "xml", "rows: [q], "
    elif kind == "python":
        content, reader, rows = (
            change_bytes(rng, b"X = {'a': [1, 'b', None, {'c': (1.5, -2)}]}\n" + b"-" * rng.choice([0, 9_000]) + b"1"),
            "python",
            "rows: [X], ",
        )
    else:
        content = change_bytes(rng, _packed(kind, text))
        reader = kind if kind in ("parquet", "lines") else "jsonl"
    (folder / name).write_bytes(content)
    bench = folder / "bench.yaml"
    file = f"{name}!items.jsonl" if kind == "zip" else name
    bench.write_text(
        bench.read_text(encoding="utf-8").replace("{files: [items.jsonl], reader: jsonl}", f"{{files: [{file}], {rows}reader: {reader}}}"), encoding="utf-8"
    )
    return ["check", "./evaluation.yaml"]


def _packed(kind: str, text: bytes) -> bytes:
    import gzip
    import io
    import zipfile

    if kind == "gz":
        return gzip.compress(text)
    if kind == "zip":
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("items.jsonl", text)
        return file.getvalue()
    if kind == "parquet":
        import pyarrow
        import pyarrow.parquet

        sink = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([json.loads(line) for line in text.splitlines()]), sink)
        return bytes(sink.getvalue().to_pybytes())
    return text


def results(rng: random.Random, world: World, folder: Path) -> list[str]:
    for run in world.runs:
        shutil.copytree(run, folder / run.name)
    path = folder / rng.choice(["a", "b"]) / rng.choice(["scores.json", "outputs.jsonl"])
    if path.suffix == ".json":
        path.write_bytes(change_json(rng, json.loads(path.read_text(encoding="utf-8"))).encode("utf-8", "surrogatepass"))
    else:
        lines = path.read_text(encoding="utf-8").splitlines()
        index = rng.randrange(len(lines))
        lines[index] = change_json(rng, json.loads(lines[index]))
        path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    if rng.random() < 0.15:
        path.write_bytes(change_bytes(rng, path.read_bytes()))
    return rng.choice(
        [["eval", "compare", "a", "b"], ["eval", "compare", "a", "b", "--json"], ["eval", "page", "a", "--baseline", "b"], ["eval", "published", "a"]]
    )


def run_folders(rng: random.Random, world: World, folder: Path) -> list[str]:
    shutil.copytree(world.run_folder, folder / "run")
    path = rng.choice(sorted(file for file in (folder / "run").rglob("*") if file.is_file()))
    data = path.read_bytes()
    if path.suffix in (".json", ".yaml") and rng.random() < 0.7:
        path.write_bytes(change_json(rng, json.loads(data)).encode("utf-8", "surrogatepass"))
    else:
        path.write_bytes(
            change_bytes(rng, data) if rng.random() < 0.7 else data + rng.choice([b"\0" * 60, b'{"step": 9', b"\n\n", b"[]\n", b'{"step": "x"}\n'])
        )
    return [rng.choice(["status", "report", "status"]), "run", *rng.choice([[], ["--json"]])]


def model_folders(rng: random.Random, world: World, folder: Path) -> list[str]:
    shutil.copytree(world.base, folder / "base")
    path = folder / "base" / rng.choice(["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "model.safetensors"])
    data = path.read_bytes()
    if path.suffix == ".json" and rng.random() < 0.7:
        path.write_bytes(change_json(rng, json.loads(data)).encode("utf-8", "surrogatepass"))
    elif path.suffix == ".safetensors" and rng.random() < 0.6:
        length = int.from_bytes(data[:8], "little")
        header = change_json(rng, json.loads(data[8 : 8 + length])).encode("utf-8", "surrogatepass")
        path.write_bytes(rng.choice([len(header), len(header), 2**40, 0]).to_bytes(8, "little") + header + data[8 + length :])
    else:
        path.write_bytes(change_bytes(rng, data))
    recipe = folder / "small.yaml"
    shutil.copytree(world.recipe.parent, folder, dirs_exist_ok=True)
    recipe.write_text(world.recipe.read_text(encoding="utf-8").replace(str(world.base), "base"), encoding="utf-8")
    return rng.choice([["check", "./small.yaml"], ["plan", "./small.yaml"], ["tokenizer", "verify", str(world.base), "base", "--texts", "en.jsonl"]])


def gguf_files(rng: random.Random, world: World, folder: Path) -> list[str]:
    import struct

    def text(value: bytes) -> bytes:
        return struct.pack("<Q", len(value)) + value

    fields = b"".join(text(name) + struct.pack("<I", 4) + struct.pack("<I", 2) for name in (b"llama.block_count", b"llama.embedding_length"))
    fields += text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama")
    tensors = text(b"token_embd.weight") + struct.pack("<IQQIQ", 2, 4, 4, 0, 0)
    whole = b"GGUF" + struct.pack("<IQQ", 3, 1, 3) + fields + tensors + bytes(128)
    data = bytearray(whole)
    if rng.random() < 0.6:
        at = rng.randrange(4, len(whole) - 128)
        data[at : at + 8] = struct.pack("<Q", rng.choice([2**63, 2**40, 0, 1, 2**31, 10**6]))
    (folder / "odd.gguf").write_bytes(bytes(data) if rng.random() < 0.7 else change_bytes(rng, whole))
    shutil.copytree(world.recipe.parent, folder, dirs_exist_ok=True)
    recipe = world.recipe.read_text(encoding="utf-8").replace(f"path: {world.base}", "file: odd.gguf")
    (folder / "small.yaml").write_text(recipe, encoding="utf-8")
    return [rng.choice(["check", "plan", "plan"]), "./small.yaml"]


def answer_files(rng: random.Random, world: World, folder: Path) -> list[str]:
    lines = world.answers.read_text(encoding="utf-8").splitlines()
    index = rng.randrange(len(lines))
    lines[index] = change_json(rng, json.loads(lines[index]))
    name = rng.choice(["model.jsonl", "cache.jsonl", "judge_summary.json.jsonl", "日本.jsonl"])
    (folder / name).write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    arguments = ["judge", name, "--benchmark", "ja/elyza-tasks-100", "--data", str(world.judge_data)]
    return [*arguments, *rng.choice([["--dry-run"], ["--out", "out", "--endpoint", "http://127.0.0.1:9/v1", "--judge-model", "m"], ["--dry-run", "--json"]])]


def names(rng: random.Random, world: World, folder: Path) -> list[str]:
    odd, other = rng.choice(NAMES), rng.choice(NAMES)
    commands = [
        *(
            ["check", odd],
            ["plan", odd],
            ["show", odd],
            ["copy", "quickstart", odd],
            ["copy", odd, "new"],
            ["status", odd],
            ["report", odd],
            ["corpus", "stats", odd],
        ),
        *(
            ["corpus", "prepare", str(world.corpus), "--out", odd],
            ["corpus", "prepare", odd, "--out", "out"],
            ["eval", "compare", odd, other],
            ["eval", "page", odd],
        ),
        *(
            ["eval", "page", str(world.runs[0]), "--html", odd],
            ["tokenizer", "compare", odd, "--texts", str(world.recipe.parent / "en.jsonl")],
            ["launch", odd, "--slurm"],
        ),
        *(
            ["judge", odd, "--benchmark", other, "--dry-run"],
            ["tokenizer", "verify", str(world.base), str(world.base), "--texts", odd],
            [odd],
            ["eval", odd, other],
        ),
        *(
            ["tokenizer", "extend", "--base", odd, "--corpus", other, "--new-tokens", "9", "--out", "out"],
            ["list", odd],
            ["check", str(world.recipe), "-s", odd],
        ),
        *(
            ["tokenizer", "extend", "--base", str(world.base), "--corpus", odd, "--new-tokens", "9", "--out", other],
            ["check", str(world.recipe), "-s", f"name={odd}"],
        ),
    ]
    return [argument.replace("\0", "") for argument in rng.choice(commands)]


def numbers(rng: random.Random, world: World, folder: Path) -> list[str]:
    odd = rng.choice(NUMBERS)
    extend = ["tokenizer", "extend", "--base", str(world.base), "--corpus", str(world.recipe.parent / "ja.jsonl"), "--out", "out"]
    judge = ["judge", str(world.answers), "--benchmark", "ja/elyza-tasks-100", "--data", str(world.judge_data), "--dry-run"]
    commands = [
        *([*extend, "--new-tokens", odd], [*extend, "--new-tokens", "9", "--min-count", odd], [*extend, "--new-tokens", "9", "--weights", odd]),
        *(
            [*extend, "--new-tokens", "9", "--max-token-chars", odd],
            [*extend, "--new-tokens", "9", "--pad-to", odd],
            [*judge, "--takes", odd],
            [*judge, "--price-in", odd],
        ),
        *(
            [*judge, "--max-cost", odd, "--price-in", "1", "--price-out", odd],
            [*judge, "--temperature", odd],
            [*judge, "--max-tokens", odd],
            [*judge, "--turns", odd],
        ),
        *(["plan", str(world.recipe), "--devices", odd], ["plan", str(world.recipe), "--price", odd], ["launch", "quickstart", "--slurm", "--nodes", odd]),
        *(["run", str(world.recipe), "--processes", odd, "--from", odd], ["eval", "nothing", "--limit", odd], ["eval", "nothing", "--shots", odd]),
    ]
    return rng.choice(commands)


def texts(rng: random.Random, world: World, folder: Path) -> list[str]:
    """Corpora: JSON lines, packed files, tables."""
    lines = (world.recipe.parent / "ja.jsonl").read_text(encoding="utf-8").splitlines()[:5]
    kind = rng.choice(["jsonl", "txt", "csv", "gz", "zst", "parquet"])
    if kind == "jsonl":
        index = rng.randrange(len(lines))
        lines[index] = rng.choice([change_json(rng, json.loads(lines[index])), rng.choice(JSON_RAW), f'{{"text": {rng.choice(JSON_RAW)}}}'])
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    if kind == "zst":
        import zstandard

        data = zstandard.compress(data)
    elif kind in ("gz", "parquet"):
        data = _packed(kind, "\n".join((world.recipe.parent / "ja.jsonl").read_text(encoding="utf-8").splitlines()[:5]).encode())
    name = {"gz": "odd.jsonl.gz", "zst": "odd.jsonl.zst"}.get(kind, f"odd.{kind}")
    (folder / name).write_bytes(data if kind == "jsonl" else change_bytes(rng, data))
    extend = ["tokenizer", "extend", "--base", str(world.base), "--corpus", name, "--new-tokens", "20", "--out", "out"]
    recipe = folder / "corpus.yaml"
    recipe.write_text(
        f"format: 1\nname: odd\ntexts: true\nsources:\n  ja: {{path: {name}, language: ja, licence: x, on_error: {rng.choice(['skip', 'refuse'])}}}\n"
    )
    return rng.choice([extend, ["corpus", "prepare", "./corpus.yaml", "--out", "out"], ["tokenizer", "compare", str(world.base), "--texts", name]])


KINDS: dict[str, tuple[Kind, int]] = {
    "recipes": (recipes, 250),
    "corpus recipes": (corpus_recipes, 120),
    "settings": (settings, 150),
    "benchmark declarations": (declarations, 250),
    "benchmark data": (data_files, 200),
    "result folders": (results, 200),
    "run folders": (run_folders, 120),
    "model folders": (model_folders, 160),
    "GGUF headers": (gguf_files, 80),
    "answers to judge": (answer_files, 60),
    "names": (names, 200),
    "numbers": (numbers, 120),
    "texts": (texts, 120),
}
