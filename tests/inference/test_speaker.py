"""A model that answers piece by piece."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest

from jp_adapt.inference.speaker import FolderSpeaker, Sampling
from tests.export.models import TEMPLATE


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory, pico: Path) -> FolderSpeaker:
    folder = shutil.copytree(pico, tmp_path_factory.mktemp("speaker") / "pico")
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return FolderSpeaker(folder, "float32")


def test_a_listener_who_leaves_ends_the_answer(speaker: FolderSpeaker) -> None:
    before = threading.active_count()
    longest = Sampling(temperature=1.0, seed=1, max_tokens=400)
    started = time.monotonic()
    whole = "".join(speaker.reply([{"role": "user", "content": "It rains."}], longest))
    whole_s, started = time.monotonic() - started, time.monotonic()
    answer = speaker.reply([{"role": "user", "content": "It rains."}], longest)
    assert whole.startswith(next(iter(answer)))
    answer.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert time.monotonic() - started < whole_s / 2
