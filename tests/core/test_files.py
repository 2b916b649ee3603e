"""Files and folders appear whole or not at all, and text is UTF-8 everywhere."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.core.errors import InputError, JpAdaptError, UsageError
from jp_adapt.core.files import new_folder, read_json, read_text, refuse_existing, write_json, write_text
from tests.properties import examples
from tests.unprivileged import closed, run_unprivileged

LIMITED = """
import resource, sys
from pathlib import Path
from jp_adapt.core.errors import InputError, JpAdaptError, UsageError
from jp_adapt.core.files import new_folder, write_text
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
"""


def _with_small_disk(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process whose files may hold 4096 bytes; `sys.argv[1]` is `folder`. The kernel refuses more, as a full disk would."""
    return subprocess.run([sys.executable, "-c", LIMITED + code, str(folder)], capture_output=True, text=True, timeout=60)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@examples(100)
@given(st.text())
def test_text_comes_back_as_written(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.txt"
    write_text(path, text)
    assert path.read_bytes() == text.encode("utf-8"), "newlines are not translated"
    assert read_text(path) == text


def test_write_makes_parents_and_leaves_one_readable_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "日本.txt"
    write_text(path, "一")
    write_text(path, "二")
    assert [item.name for item in path.parent.iterdir()] == ["日本.txt"]
    assert path.read_text(encoding="utf-8") == "二"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_failed_write_leaves_the_old_text_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new" * 10_000 + "\ud800")
    assert path.read_text(encoding="utf-8") == "old"
    assert _names(tmp_path) == ["x.txt"]


def test_a_full_disk_leaves_the_old_text_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    write_text(path, "old")
    done = _with_small_disk(
        """
try:
    write_text(Path(sys.argv[1]) / "x.txt", "n" * 10_000)
except JpAdaptError as error:
    print(error.exit_code, error)
""",
        tmp_path,
    )
    assert done.stdout.startswith("1 "), done.stderr
    assert "x.txt: cannot be written (File too large); free some space or choose another place" in done.stdout
    assert path.read_text(encoding="utf-8") == "old"
    assert _names(tmp_path) == ["x.txt"]


def test_a_full_disk_leaves_no_folder(tmp_path: Path) -> None:
    done = _with_small_disk(
        """
try:
    with new_folder(Path(sys.argv[1]) / "final") as folder:
        (folder / "small").write_text("fits")
        (folder / "large").write_bytes(b"n" * 10_000)
except JpAdaptError as error:
    print(error.exit_code, error)
""",
        tmp_path,
    )
    assert done.stdout.startswith("1 "), done.stderr
    assert "cannot be written (File too large)" in done.stdout
    assert _names(tmp_path) == []


CLOSED = """
import sys
from pathlib import Path
from jp_adapt.core.errors import JpAdaptError
from jp_adapt.core.files import new_folder, refuse_existing, write_text
from jp_adapt.core.lock import folder_lock

def try_all(out):
    def fill():
        with new_folder(out):
            print("began")
    def lock():
        with folder_lock(out):
            print("began")
    for work in (lambda: write_text(out, "text"), lambda: refuse_existing(out), fill, lock):
        try:
            work()
            print("done")
        except JpAdaptError as error:
            print(error.exit_code, error)

for name in sys.argv[1:]:
    try_all(Path(name))
"""


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_closed_folder_is_told_before_the_work(tmp_path: Path, mode: int) -> None:
    (tmp_path / "closed").mkdir()
    with closed(tmp_path / "closed", mode):
        done = run_unprivileged(["-c", CLOSED, "closed/out", "closed/deep/out"], tmp_path)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert [line[0] for line in lines] == ["1", "2", "2", "2"] * 2
    assert all("closed" in line and "cannot be written (Permission denied)" in line for line in lines)


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_modes_are_what_the_umask_says(tmp_path: Path, umask: int) -> None:
    """safetensors writes its files for the owner alone."""
    code = """
import numpy, os, sys
from pathlib import Path
from safetensors.numpy import save_file
from jp_adapt.core.files import new_folder, write_text
os.chdir(sys.argv[1])
os.symlink("linked", "link"), Path("linked").touch(0o600)
with new_folder(Path("model")) as folder:
    save_file({"a": numpy.zeros(3)}, folder / "model.safetensors")
    (folder / "deep").mkdir()
    (folder / "deep" / "link").symlink_to(Path("linked").absolute())
    write_text(folder / "deep" / "x.txt", "x")
write_text(Path("a/b/x.txt"), "x")
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, umask=umask, timeout=60)
    for name in ("model/model.safetensors", "model/deep/x.txt", "a/b/x.txt"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~umask, name
    for name in ("model", "model/deep", "a", "a/b"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o777 & ~umask, name
    assert stat.S_IMODE((tmp_path / "linked").stat().st_mode) == 0o600 & ~umask, "what a link leads to is not ours"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("shutil.copyfile('source', folder / 'copy')", "final/copy: cannot be written (File too large)"),
        ("safetensors.numpy.save_file({'a': numpy.zeros(10_000)}, folder / 'w')", "final: cannot be written (File too large)"),
        ("(folder / 'a').open('x'), (folder / 'a').open('x')", "final/a: cannot be written (File exists)"),
        ("tokenizers.Tokenizer(tokenizers.models.BPE({str(n): n for n in range(9_000)}, [])).save(str(folder / 't'))", "final: cannot be written (File too"),
        ("Path('nothing').read_bytes()", "FileNotFoundError: [Errno 2] No such file or directory: 'nothing'"),
        ("raise ConnectionResetError(104, 'reset')", "ConnectionResetError: [Errno 104] reset"),
    ],
)
def test_the_right_file_is_named(tmp_path: Path, code: str, message: str) -> None:
    (tmp_path / "source").write_bytes(b"n" * 10_000)
    done = _with_small_disk(
        f"""
import os, shutil
os.chdir(sys.argv[1])
import numpy, safetensors.numpy, tokenizers
try:
    with new_folder(Path("final")) as folder:
        {code}
except JpAdaptError as error:
    print(error)
except OSError as error:
    print(type(error).__name__ + ":", error)
""",
        tmp_path,
    )
    assert done.stdout.startswith(message), done.stderr
    assert _names(tmp_path) == ["source"]


@pytest.mark.parametrize("name", ["a**b", "[x", "a?*", "x" * 255, "語" * 85, "-", "a'b\n"])
def test_odd_names_are_names(tmp_path: Path, name: str) -> None:
    (tmp_path / f".{name[:20]}.other-1-x.tmp").mkdir()
    with new_folder(tmp_path / name) as folder:
        write_text(folder / name, "x")
    assert read_text(tmp_path / name / name) == "x"
    write_text(tmp_path / "deep" / name, "y")
    assert _names(tmp_path / "deep") == [name]


@pytest.mark.parametrize("name", ["x" * 256, "語" * 86, "deep/" + "x" * 300 + "/deep", "x/" * 3_000, "file/x"])
def test_names_that_no_file_can_have_are_refused_before_the_work(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot be written \((File name too long|Not a directory)\); give another --out"), new_folder(tmp_path / name):
        pytest.fail("the block must not begin")


def test_a_link_that_leads_nowhere_exists(tmp_path: Path) -> None:
    (tmp_path / "final").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="exists already; give another --html"):
        refuse_existing(tmp_path / "final", "--html")


def test_a_file_where_a_folder_must_be_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(JpAdaptError, match="cannot be written"):
        write_text(tmp_path / "file" / "x.txt", "text")


@pytest.mark.parametrize(
    ("data", "line", "byte"), [(b"\x93\xfa", 1, "93"), (b"ok\nfine\n\xe6\x97\xa5 \xff", 3, "FF"), ("あ\n日".encode() + b"\xe6\x9c", 2, "E6")]
)
def test_text_that_is_not_utf8_is_named_with_its_line(tmp_path: Path, data: bytes, line: int, byte: str) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_text(path)
    assert str(caught.value).startswith(f"{path}:{line}: byte 0x{byte} is not UTF-8; convert the file")


def test_reading_what_is_missing_or_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.txt: no such file"):
        read_text(tmp_path / "nothing.txt")
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\)"):
        read_text(tmp_path)


def test_json_is_readable_japanese_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    value = {"名": ["日本", 1.5, None], "b": True}
    write_json(path, value)
    assert "日本" in path.read_text(encoding="utf-8")
    assert read_json(path) == value


def test_json_refuses_nan_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, float("nan"))
    assert json.loads(path.read_text(encoding="utf-8")) == 1


def test_broken_json_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"a": 1,\n "b": }', encoding="utf-8")
    with pytest.raises(InputError, match=r"x.json:2: not valid JSON \(Expecting value\)"):
        read_json(path)


def test_new_folder_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "final"
    with new_folder(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "x").write_text("1", encoding="utf-8")
        assert not target.exists()
        assert folder.parent == target.parent, "a rename must not cross file systems"
    assert (target / "sub" / "x").read_text(encoding="utf-8") == "1"
    assert _names(target.parent) == ["final"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


@pytest.mark.parametrize("error", [RuntimeError("broke"), KeyboardInterrupt(), InputError("broke")])
def test_new_folder_leaves_nothing_on_failure(tmp_path: Path, error: BaseException) -> None:
    def fill() -> None:
        with new_folder(tmp_path / "final") as folder:
            (folder / "x").write_text("1", encoding="utf-8")
            raise error

    with pytest.raises(type(error)) as caught:
        fill()
    assert caught.value is error
    assert _names(tmp_path) == []


def test_new_folder_refuses_what_exists(tmp_path: Path) -> None:
    (tmp_path / "final").mkdir()
    (tmp_path / "final" / "mine").write_text("keep", encoding="utf-8")
    with pytest.raises(JpAdaptError, match="final: exists already"), new_folder(tmp_path / "final"):
        pytest.fail("the block must not begin")
    assert (tmp_path / "final" / "mine").read_text(encoding="utf-8") == "keep"


def test_new_folder_clears_what_a_killed_process_left(tmp_path: Path) -> None:
    code = """
import os, signal
with new_folder(Path(sys.argv[1]) / "final") as folder:
    (folder / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = _with_small_disk(code, tmp_path)
    assert done.returncode == -9
    left = _names(tmp_path)
    assert len(left) == 1
    assert left[0].startswith(".final.")
    neighbour = tmp_path / ".final2.abc.tmp"
    neighbour.mkdir()
    with new_folder(tmp_path / "final") as folder:
        (folder / "whole").write_text("whole", encoding="utf-8")
    assert _names(tmp_path) == [".final2.abc.tmp", "final"], "the work of another folder is left alone"
    assert _names(tmp_path / "final") == ["whole"]


def test_a_file_that_a_killed_process_left_goes_with_the_next_writing(tmp_path: Path) -> None:
    code = """
import os, signal
os.fsync = lambda number: os.kill(os.getpid(), signal.SIGKILL)
write_text(Path(sys.argv[1]) / "scores.json", "half")
"""
    assert _with_small_disk(code, tmp_path).returncode == -9
    (left,) = _names(tmp_path)
    assert left.startswith(".scores.json.")
    running = tmp_path / re.sub(r"-\d+-(\w+)\.tmp", rf"-{os.getpid()}-\1.tmp", left)
    running.write_bytes(b"of a process that runs")
    write_text(tmp_path / "scores.json", "whole")
    assert _names(tmp_path) == sorted([running.name, "scores.json"])


def test_new_folder_leaves_what_a_running_process_writes(tmp_path: Path) -> None:
    """Two commands with one --out: the first to end has the name, the second is told so and leaves nothing."""

    def write_both() -> None:
        with new_folder(tmp_path / "final") as second:
            with new_folder(tmp_path / "final") as first:
                (first / "mine").write_text("first", encoding="utf-8")
                assert second.is_dir()
            (second / "mine").write_text("second", encoding="utf-8")

    with pytest.raises(UsageError, match="final: exists already"):
        write_both()
    assert _names(tmp_path) == ["final"]
    assert (tmp_path / "final" / "mine").read_text(encoding="utf-8") == "first"


@pytest.mark.parametrize(("number", "way"), [(errno.ENOSPC, "free some space or choose another place"), (errno.EROFS, "choose another place")])
def test_space_is_asked_for_where_space_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, way: str) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(JpAdaptError, match=rf"cannot be written \({os.strerror(number)}\); {way}, then run again"):
        write_text(tmp_path / "x.txt", "a")
