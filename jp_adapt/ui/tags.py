"""Tags: words that a user gives to a run, an evaluation or any other thing of a folder, in its file TAGS, one on a line."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import read_text, write_text
from jp_adapt.ui.catalogue import candidates

TAGS = "TAGS"  # beside DONE; it moves with its folder, and is no part of a model that is sent to the hub
MOST, LONGEST = 20, 40  # tags of a thing, characters of a tag
MOST_BYTES = 2**16
MARKS = "._-:+/"


def read_tags(folder: Path) -> list[str]:
    """The tags of a folder, in order of the alphabet. InputError for a file that holds anything else."""
    file = folder / TAGS
    if not file.is_file():
        return []
    tags = [line.strip() for line in read_text(file, MOST_BYTES).splitlines() if line.strip()]
    wrong = next((tag for tag in tags if not is_tag(tag)), None)
    if wrong is not None or len(tags) > MOST:
        said = f"{wrong[:LONGEST]!r} is not a tag" if wrong is not None else f"{len(tags)} tags, and {MOST} are the most"
        raise InputError(f"{file}: {said}; remove the line, or the file")
    return sorted(set(tags))


def change_tags(folder: Path, *, add: Collection[str] = (), remove: Collection[str] = ()) -> list[str]:
    """Add tags to a folder and take others away; what it has then comes back.

    Raises:
        UsageError: a tag that is none, one that is to be removed and is not there, or too many. InputError: nothing of jp-adapt lies in the folder.
    """
    if next((path for path, _ in candidates(folder)), None) != folder:
        raise InputError(f"{folder}: no run, evaluation, corpus, tokenizer or merge lies here; jp-adapt runs FOLDER lists what there is")
    for tag in add:
        check_tag(tag)
    before = read_tags(folder)
    if missing := sorted({*remove} - {*before}):
        raise UsageError(f"{folder}: has no tag {missing[0]}; it has {', '.join(before) or 'none'}")
    tags = sorted(({*before} - {*remove}) | {*add})
    if len(tags) > MOST:
        raise UsageError(f"{folder}: {len(tags)} tags, and {MOST} are the most; take one away with --remove")
    if tags:
        write_text(folder / TAGS, "".join(f"{tag}\n" for tag in tags))
    else:
        (folder / TAGS).unlink(missing_ok=True)
    return tags


def check_tag(text: str) -> None:
    """UsageError, with the rule, for a text that cannot be a tag."""
    if not is_tag(text):
        raise UsageError(f"'{text}' is not a tag: 1 to {LONGEST} letters, digits and {' '.join(MARKS)}, without spaces")


def is_tag(text: str) -> bool:
    """Whether a text can be a tag."""
    return 1 <= len(text) <= LONGEST and all(char.isalnum() or char in MARKS for char in text)
