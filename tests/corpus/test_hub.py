"""Datasets of the hub, from local folders of their formats and from a server that answers as the hub does."""

from __future__ import annotations

import http.server
import threading
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jp_adapt.core.errors import InputError
from jp_adapt.corpus.hub import iter_hub_documents
from tests.corpus.files import LINE, jsonl, write


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub, and the cache of `datasets` in the test's own folder."""
    import datasets
    from huggingface_hub import constants

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


@pytest.mark.usefixtures("offline")
class TestHub:
    def test_a_folder_of_jsonl(self, tmp_path: Path) -> None:
        for split, texts in (("train", ["一", "二\n", " ", "", "三"]), ("test", ["四"])):
            write(tmp_path / f"{split}.jsonl", jsonl(texts))
        assert list(iter_hub_documents(str(tmp_path), "any")) == ["一", "二\n", "三"]
        assert list(iter_hub_documents(str(tmp_path), "any", "test")) == ["四"]

    def test_a_folder_of_parquet_and_another_column(self, tmp_path: Path) -> None:
        for number in range(2):
            pq.write_table(pa.table({"id": [number], "body": [f"文書{number}"]}), tmp_path / f"train-{number}.parquet")
        assert list(iter_hub_documents(str(tmp_path), "any", field="body")) == ["文書0", "文書1"]

    def test_a_config(self, tmp_path: Path) -> None:
        for name in ("ja", "en"):
            (tmp_path / name).mkdir()
            write(tmp_path / name / "train.jsonl", jsonl([name]))
        configs = "".join(f"- config_name: {name}\n  data_files: {name}/*.jsonl\n" for name in ("ja", "en"))
        (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}---\n", encoding="utf-8")
        assert list(iter_hub_documents(str(tmp_path), "any", config="ja")) == ["ja"]
        with pytest.raises(InputError, match=r"ValueError: BuilderConfig 'fr' not found\. Available: \['ja', 'en'\]\); check name, config and split"):
            list(iter_hub_documents(str(tmp_path), "any", config="fr"))

    def test_it_is_streamed(self, tmp_path: Path) -> None:
        write(tmp_path / "train-0.jsonl", jsonl(["一", "二"]))
        write(tmp_path / "train-1.jsonl", b"broken\n")
        documents = iter_hub_documents(str(tmp_path), "any")
        assert list(islice(documents, 2)) == ["一", "二"]
        with pytest.raises(
            InputError, match=r"at any: split 'train' cannot be read .*; check name, config and split, or give the folder of a local copy"
        ) as caught:
            next(documents)
        assert "\n" not in str(caught.value)

    def test_an_unknown_split(self, tmp_path: Path) -> None:
        write(tmp_path / "train.jsonl", LINE)
        with pytest.raises(InputError, match=r"split 'dev' cannot be read \(ValueError: Bad split: dev\. Available splits: \['train'\]\)"):
            list(iter_hub_documents(str(tmp_path), "any", "dev"))

    def test_no_such_column(self, tmp_path: Path) -> None:
        write(tmp_path / "train.jsonl", b'{"body": "a", "id": 1}\n')
        with pytest.raises(InputError, match=r":row 1: no column 'text'; there are: body, id; name the right one: 'field: NAME' in a recipe's source"):
            list(iter_hub_documents(str(tmp_path), "any"))

    @pytest.mark.parametrize(("value", "found"), [("null", "null"), ("1", "of type int")])
    def test_a_row_that_is_no_text(self, tmp_path: Path, value: str, found: str) -> None:
        write(tmp_path / "train.jsonl", f'{{"text": {value}}}\n'.encode())
        with pytest.raises(InputError, match=f":row 1: column 'text' is {found}, and text is needed; name the right one"):
            list(iter_hub_documents(str(tmp_path), "any"))

    def test_only_empty_texts(self, tmp_path: Path) -> None:
        write(tmp_path / "train.jsonl", jsonl(["", " "]))
        with pytest.raises(InputError, match="split 'train' holds no document; choose another split"):
            list(iter_hub_documents(str(tmp_path), "any"))

    def test_a_hub_out_of_reach(self) -> None:
        with pytest.raises(InputError, match=r"some/thing at abc: the hub cannot be reached \(.*\); check the network, or give the folder of a local copy"):
            list(iter_hub_documents("some/thing", "abc"))


def test_an_unknown_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on this machine answers as the hub does for a name that it does not have."""
    import datasets
    from huggingface_hub import close_session, constants

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # `make test` sets it for the process
        monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
        close_session()  # an open one was made for offline use
        monkeypatch.setattr(datasets.config, "HF_ENDPOINT", url)
        with pytest.raises(
            InputError, match=r"some/thing at abc: no such dataset, or it is closed to you \(.*\); check name and revision, or run: hf auth login"
        ):
            list(iter_hub_documents("some/thing", "abc"))
        server.shutdown()
