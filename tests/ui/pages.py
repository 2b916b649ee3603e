"""A folder of everything that the page shows, and a client that asks as the page does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from jp_adapt.evaluation.leaderboard import LEADERBOARD, BoardRow, Leaderboard, Standing
from jp_adapt.evaluation.results import Output, Scores, TextScore, write_outputs, write_scores
from jp_adapt.inference.speaker import EndpointSpeaker
from jp_adapt.pipeline.run_folder import RunRecord
from jp_adapt.ui.app import build_app
from jp_adapt.ui.library import Library
from tests.evaluation.test_compare import benchmark

TOKEN, PORT = "secret-token", 8000
ADDRESS = f"http://127.0.0.1:{PORT}"
SHOTS = "次の質問に答えてください。\n" * 20  # what the prompts of a benchmark share


class Client:
    """`get("entries")` as JSON, with the token."""

    def __init__(self, folder: Path, models: dict[str, Path] | None = None, endpoints: dict[str, EndpointSpeaker] | None = None) -> None:
        self.library = Library(folder, models)
        self.http = TestClient(build_app(self.library, TOKEN, PORT, endpoints=endpoints), base_url=ADDRESS, raise_server_exceptions=True)

    def get(self, name: str, status: int = 200, **query: Any) -> Any:
        answer = self.http.get(f"/{TOKEN}/api/{name}", params=query)
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, name: str, value: Any, status: int = 200) -> Any:
        answer = self.http.post(f"/{TOKEN}/api/{name}", json=value)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.headers["content-type"] == "application/json" else answer.text


def write_training_run(folder: Path, *, steps: int = 10, of: int = 10, name: str = "", lr: float = 1e-4) -> Path:
    """A run of one training stage, `steps` of whose `of` steps are done."""
    stage = folder / "stages" / "cpt"
    stage.mkdir(parents=True)
    RunRecord(name or folder.name, "2026-11-29T10:00:00+00:00", "0.1.0", "mine.yaml", ["jp-adapt", "run", "mine.yaml"]).write(folder / "run.json")
    recipe = {"format": 1, "name": "mine", "stages": [{"id": "cpt", "kind": "pretrain", "optimizer": {"lr": lr}}]}
    (folder / "resolved.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    add_steps(stage, 0, steps, of)
    (stage / "samples.jsonl").write_text(json.dumps({"step": 0, "prompt": "今日は", "continuation": "雨です。"}) + "\n", encoding="utf-8")
    if steps == of:
        (stage / "DONE").touch()
    return folder


def add_steps(stage: Path, first: int, last: int, of: int) -> None:
    lines = [
        {"step": n, "num_steps": of, "loss_nats_per_token": 9 - n / of, "tokens": 100 * n, "elapsed_s": n / 2, "bits_per_char/ja": 6 - n / of}
        for n in range(first, last + 1)
    ]
    with (stage / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def write_corpus(folder: Path) -> Path:
    folder.mkdir(parents=True)
    source = {
        "name": "ja",
        "documents": 2,
        "characters": 90,
        "tokens": 60,
        "scripts": {"kana_mark": 4},
        "lengths": [0, 2],
        "problems": {"count": 1, "first": ["ja.jsonl:3"]},
    }
    step = {
        "documents_in": 5,
        "characters_in": 200,
        "documents_changed": 1,
        "dropped": {"short": [3, 110]},
        "samples": {"short": [{"hash": "0", "place": "ja.jsonl:1", "text": "短い"}]},
        "pairs": [{"place": "ja.jsonl:4", "text": "今日は雨", "kept_place": "ja.jsonl:2", "kept": "今日は雪"}],
    }
    report = {"format": 1, "sources": [source], "steps": {"length": {"ja": step}}}
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    (folder / "index.json").write_text("{}", encoding="utf-8")
    return folder


def write_board(folder: Path) -> Path:
    """The leaderboard of a matrix: two models on one benchmark, and one suite that is not measured yet."""
    folder.mkdir(parents=True, exist_ok=True)
    better = Standing("adapted", 0.8, (0.7, 0.9), 0.2, (0.1, 0.3), 0.0004, "better", "adapted is better than base by 20.0 points (p < 0.001)")
    row = BoardRow("core", "ja/pick", "ja/pick@jp-adapt/0-shot/accuracy", "accuracy", 80, 0.5, [Standing("base", 0.6, (0.5, 0.7)), better])
    Leaderboard(["base", "adapted"], 1, 0.05, [row], [("adapted", "chat")]).write(folder / LEADERBOARD)
    return folder


def write_evaluation(folder: Path, right: list[bool], model: str = "") -> Path:
    """Half of the items are choices, half free texts."""
    folder.mkdir(parents=True)
    outputs = []
    for n, good in enumerate(right):
        question = f"{SHOTS}質問：日本の{n}番目に高い山は？\n回答："
        if n % 2:
            outputs.append(
                Output("ja/free", f"q{n}", "", question, None, None, "富士山" if good else "ＫＡＴＡＫＡＮＡ", ["x"], ["富士山"], {"accuracy": float(good)})
            )
        else:
            outputs.append(
                Output("ja/pick", f"q{n}", "", question, ["北岳", "富士山"], [-2.0, -1.0], None, int(good), 1, {"accuracy": float(good)}, n == 4, n // 6)
            )
    parts = {name: [float(output.scores["accuracy"] or 0) for output in outputs if output.benchmark == name] for name in ("ja/pick", "ja/free")}
    scores = [benchmark(name, values) for name, values in parts.items()]
    write_scores(folder, Scores({"name": model or folder.name}, "jp-adapt", scores, [TextScore("ja", 1, 10, 30, 7, 5.0, 1.7)]))
    write_outputs(folder / "outputs.jsonl", outputs)
    return folder
