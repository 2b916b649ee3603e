"""Items with pictures: from files and from columns, each shown where its mark stands."""

from __future__ import annotations

import zlib

import pytest

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.benchmarks.pictures import MARK, lifted, pictures_of
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.hashes import sha256_file
from jp_adapt.core.shipped import shipped_folder
from jp_adapt.evaluation.prompts import build_prompts
from tests import drawn_shapes


def declaration(folder, records, prompt="{{ image }}{{ q }}", images="image"):
    (folder / "own.jsonl").write_text(records, encoding="utf-8")
    path = folder / "own.yaml"
    path.write_text(
        "format: 1\nkind: generate\nversion: '1'\ntitle: t\nlicense: l\nsource: s\nlanguage: ja\n"
        "data: {test: {files: [own.jsonl], reader: jsonl}}\n"
        f'images: "{images}"\nquestion: "{{{{ q }}}}"\nanswers: ["a"]\n'
        f'protocols: {{jp-adapt: {{prompt: "{prompt}", max_chars: 9, metrics: [exact_match]}}}}\n',
        encoding="utf-8",
    )
    return str(path)


def test_forty_drawn_pictures_with_three_questions_each():
    loaded = load_benchmark("quickstart/ja-vqa-40")
    assert (len(loaded.items), len({item.pictures[0].sha256 for item in loaded.items})) == (120, 40)
    for group, choices in drawn_shapes.QUESTIONS.items():
        answers = [item.choices[item.answer] for item in loaded.items if item.group == group]
        assert {answer: answers.count(answer) for answer in choices[1]} == dict.fromkeys(choices[1], 10)
    folder = shipped_folder("eval") / "quickstart"
    assert loaded.sha256["ja-vqa-40/07.png"] == sha256_file(folder / "ja-vqa-40/07.png")
    _, prompts = build_prompts(loaded, "jp-adapt")
    assert prompts[0].text == f"{MARK}\n問い：この絵の図形は何色ですか。\n答え："
    assert prompts[0].pictures == loaded.items[0].pictures


def test_what_is_shipped_is_what_the_script_draws():
    """To the pixel: another zlib may pack it otherwise."""
    folder = shipped_folder("eval") / "quickstart"

    def drawn(data):
        at = data.index(b"IDAT")
        return data[: at - 4], zlib.decompress(data[at + 4 : at + 4 + int.from_bytes(data[at - 4 : at], "big")])

    assert (folder / "ja-vqa-40.jsonl").read_bytes() == drawn_shapes.as_jsonl()
    assert len(list((folder / "ja-vqa-40").iterdir())) == 40
    for number in (1, 9, 20, 40):
        assert drawn((folder / f"ja-vqa-40/{number:02}.png").read_bytes()) == drawn(drawn_shapes.picture(number))


@pytest.mark.parametrize(
    ("name", "profile", "count", "pictures", "text"),
    [
        ("ja/ja-vg-vqa-500", "jp-adapt", 12, 1, f"{MARK}\n質問：0番の色は？\n答え："),
        ("ja/ja-vg-vqa-500", "llm-jp-eval-mm", 12, 1, f"{MARK}0番の色は？"),
        ("ja/ja-vg-vqa-500", "sakana-vlm", 4, 1, f"{MARK}0番の色は？"),
        ("ja/ja-vlm-bench-in-the-wild", "sakana-vlm", 12, 1, f"{MARK}0番は？"),
        ("ja/ja-multi-image-vqa", "jp-adapt-chat", 12, 2, f"{MARK}{MARK}との違いは0？"),
        ("ja/heron-bench", "jp-adapt", 12, 1, f"{MARK}0は何？"),
        ("ja/jmmmu", "llm-jp-eval-mm", 11, 2, None),
    ],
)
def test_the_layouts_of_the_owners(name, profile, count, pictures, text, benchmark_data):
    _, prompts = build_prompts(load_benchmark(name, benchmark_data), profile)
    assert len(prompts) == count
    assert {len(prompt.pictures) for prompt in prompts} == {pictures}
    assert all(prompt.pictures[0].media_type == "image/png" for prompt in prompts)
    if text is not None:
        assert prompts[0].text == text
    else:
        assert prompts[0].text.startswith(f'{MARK}{MARK}（画像1）の1番は？（画像2）は？\nA. 丸\nB. it\'s\nC. "四角"\nD. <image 2>\n')
        assert prompts[0].answers == ["B"]


def test_a_prompt_shows_every_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\xff\xd8\xff")
    name = declaration(tmp_path, '{"image": "a.png", "q": "x"}\n', prompt="{{ q }}")
    with pytest.raises(UsageError, match="item 0: its prompt shows 0 of 1 pictures; write "):
        build_prompts(load_benchmark(name), "jp-adapt")
    assert load_benchmark(name).items[0].pictures[0].media_type == "image/jpeg"


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ('"b.png"', r"own.jsonl:1: no picture b.png in "),
        ('"../b.png"', r"own.jsonl:1: picture '../b.png' leads out of the data folder; name what lies in it"),
        ("7", r"own.jsonl:1: '7' is no picture: give the path of a file, or a column of pictures"),
        ("null", r"own.jsonl:1: no picture"),
    ],
)
def test_a_record_without_its_picture_is_refused(image, message, tmp_path):
    with pytest.raises(InputError, match=message):
        load_benchmark(declaration(tmp_path, f'{{"image": {image}, "q": "x"}}\n'))


def test_templates_see_handles_and_no_bytes(tmp_path):
    record, cells = lifted({"image": {"bytes": b"abc", "path": "x.png"}, "images": [b"d", "y.png"], "text": "t"})
    assert record == {"image": f"{MARK}image", "images": [f"{MARK}images/0", "y.png"], "text": "t"}
    assert [entry.data for entry in pictures_of([record["image"], record["images"][0], None], cells, tmp_path)] == [b"abc", b"d"]
