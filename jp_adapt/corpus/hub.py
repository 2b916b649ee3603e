"""Documents of a dataset of the Hugging Face hub, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jp_adapt.core.errors import InputError, one_line
from jp_adapt.corpus.lines import OnError, refuse
from jp_adapt.corpus.sources import WRONG_FIELD


def iter_hub_documents(name: str, revision: str, split: str = "train", field: str = "text", config: str | None = None) -> Iterator[str]:
    """The texts of `iter_placed_rows`; the first row that holds none stops the reading."""
    return (text for _, text in iter_placed_rows(name, revision, split, field, config))


def iter_placed_rows(
    name: str, revision: str, split: str = "train", field: str = "text", config: str | None = None, on_error: OnError = refuse
) -> Iterator[tuple[str, str]]:
    """(place, text) of each document of a dataset of the hub, streamed: the text in the column `field` of each row.

    `name` may be a local folder of .jsonl or .parquet files, which has no revisions. Rows of an empty text are left out, since nobody
    can take them out of a dataset of the hub. No code of the dataset is run.

    Raises:
        InputError: the dataset, its revision, config or split is unknown, or the hub cannot be reached; a row without text goes to `on_error`.
    """
    empty = True
    for number, row in enumerate(_hub_rows(name, revision, split, field, config), start=1):
        place = f"{name}:row {number}"
        if field not in row:
            on_error(InputError(f"{place}: no column '{field}'; there are: {', '.join(row)}; {WRONG_FIELD}"))
            continue
        text = row[field]
        if not isinstance(text, str):
            results = "null" if text is None else f"of type {type(text).__name__}"
            on_error(InputError(f"{place}: column '{field}' is {results}, and text is needed; {WRONG_FIELD}, or use a mended copy"))
        elif text.strip():
            empty = False
            yield place, text
    if empty:
        raise InputError(f"{name}: split '{split}' holds no document; choose another split")


def _hub_rows(name: str, revision: str, split: str, field: str, config: str | None) -> Iterator[dict[str, Any]]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetNotFoundError

    place = f"{name} at {revision}"
    try:
        rows = load_dataset(name, config, revision=revision, split=split, streaming=True)
        yield from rows.select_columns([field]) if field in (rows.column_names or ()) else rows  # other columns (pictures) are not decoded
    except DatasetNotFoundError as error:
        raise InputError(f"{place}: no such dataset, or it is closed to you ({one_line(error)}); check name and revision, or run: hf auth login") from error
    except ConnectionError as error:
        raise InputError(f"{place}: the hub cannot be reached ({one_line(error)}); check the network, or give the folder of a local copy") from error
    except Exception as error:  # a wrong split or config, a damaged file, a lost connection: datasets and what it calls have no common error
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise InputError(f"{place}: split '{split}' cannot be read ({reason}); check name, config and split, or give the folder of a local copy") from error
