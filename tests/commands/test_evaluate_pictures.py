"""`jp-adapt eval` of a vision-language model on items with pictures, here and behind an endpoint."""

from __future__ import annotations

import base64
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from jp_adapt.cli.main import main
from jp_adapt.commands.evaluate import evaluate
from jp_adapt.core.errors import InputError
from jp_adapt.core.shipped import shipped_folder
from jp_adapt.evaluation.results import read_outputs, read_scores
from jp_adapt.inference.model_source import Served
from tests.judge_server import served
from tests.seeing import make_seeing


@pytest.fixture(scope="module")
def llava(pico, tmp_path_factory):
    pytest.importorskip("PIL")
    return make_seeing("llava", pico, tmp_path_factory.mktemp("seeing") / "llava", tied=False)


def test_a_model_answers_about_pictures(llava, tmp_path, capsys):
    assert main(["eval", str(llava), "--benchmarks", "quickstart/ja-vqa-40", "--limit", "12", "--dtype", "float32", "--out", str(tmp_path / "out")]) == 0
    assert "quickstart/ja-vqa-40" in capsys.readouterr().out
    outputs = list(read_outputs(tmp_path / "out"))
    assert len(outputs) == 12
    assert all(len(output.log_likelihoods) == 4 and "￼" in output.prompt for output in outputs)
    identity = json.loads((tmp_path / "out" / "eval.json").read_text(encoding="utf-8"))["identity"]
    assert len([name for name in identity["benchmarks"]["quickstart/ja-vqa-40"]["data"] if name.endswith(".png")]) == 40


def test_both_ways_of_counting_have_names_of_their_own(llava, benchmark_data, tmp_path):
    names = {}
    for profile, items in (("sakana-vlm", 4), ("llm-jp-eval-mm", 12)):
        scores = evaluate(llava, tmp_path / profile, benchmarks="ja/ja-vg-vqa-500", data=benchmark_data, profile=profile, dtype="float32", limit=4)
        (score,) = scores.benchmarks
        names[score.name] = score.items
        assert (score.sample is None) == (items == 4)
    assert names == {"ja/ja-vg-vqa-500@sakana-vlm/0-shot/sakana_rougeL": 4, "ja/ja-vg-vqa-500@llm-jp-eval-mm/0-shot/llm_jp_mm_rougeL": 4}


def test_conversations_for_judges_show_their_pictures(llava, benchmark_data, tmp_path):
    evaluate(llava, tmp_path / "out", benchmarks="ja/heron-bench", data=benchmark_data, dtype="float32", limit=2)
    assert len(list(read_outputs(tmp_path / "out"))) == 2


def test_a_model_that_does_not_see_is_refused(pico, tmp_path):
    with pytest.raises(InputError, match="quickstart/ja-vqa-40: these items have pictures, and this model does not see"):
        evaluate(pico, tmp_path / "out", benchmarks="quickstart/ja-vqa-40", limit=2, dtype="float32")


class _Painter(BaseHTTPRequestHandler):
    """Answers every conversation in the same words."""

    def do_POST(self):
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        reply = {"choices": [{"message": {"content": "赤"}, "finish_reason": "stop"}], "usage": {"completion_tokens": 1, "prompt_tokens": 1}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

    def log_message(self, format, *args):
        """Nothing on stderr."""


def test_an_endpoint_gets_pictures_in_its_messages(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Painter)
    server.bodies = []
    with served(server):
        asked = Served(f"http://127.0.0.1:{server.server_address[1]}/v1")
        evaluate("vlm", tmp_path / "out", benchmarks="quickstart/ja-vqa-40", profile="jp-adapt-chat", limit=9, served=asked)
        with pytest.raises(InputError, match="an endpoint tells no likelihoods of texts with pictures; --chat asks for written answers"):
            evaluate("vlm", tmp_path / "choices", benchmarks="quickstart/ja-vqa-40", limit=2, served=asked)
    parts = server.bodies[0]["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["image_url", "text"]
    kind, _, data = parts[0]["image_url"]["url"].partition(";base64,")
    assert kind == "data:image/png"
    assert base64.b64decode(data) in [path.read_bytes() for path in (shipped_folder("eval") / "quickstart/ja-vqa-40").iterdir()]
    (score,) = read_scores(tmp_path / "out").benchmarks
    reds = sum(output.gold == ["赤"] for output in read_outputs(tmp_path / "out"))
    assert score.metrics["exact_match"].value == pytest.approx(reds / 9)
