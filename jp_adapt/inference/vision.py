"""Pictures for the engine of this process: what a vision-language model sees becomes rows behind its vocabulary, and a picture a run of ids.

So prefix trees, windows, batches and continuations work on pictures as they do on text, and questions about one picture share its prefix. No logits are made
for these rows: nothing can be answered with them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from jp_adapt.benchmarks.pictures import MARK, Picture
from jp_adapt.core.errors import InputError, one_line
from jp_adapt.core.extras import require_extra
from jp_adapt.inference.answer import Encode
from jp_adapt.model.causal import CausalModel

AROUND, WHOLE = "<fake_token_around_image>", "<global-img>"  # in Idefics3 and SmolVLM


class SeeingEmbedding(nn.Module):
    """An embedding of words, and behind its `first` ids the rows of what is seen."""

    def __init__(self, words: nn.Module, first: int) -> None:
        super().__init__()
        self.words, self.first = words, first
        self.rows: list[Tensor] = []
        self.length = 0

    def add(self, rows: Tensor) -> list[int]:
        """Take rows [N, H]; returns their ids."""
        self.rows.append(rows)
        start, self.length = self.first + self.length, self.length + len(rows)
        return list(range(start, start + len(rows)))

    def clear(self) -> None:
        self.rows, self.length = [], 0

    def forward(self, ids: Tensor) -> Tensor:
        """ids: [...] -> [..., H]."""
        seen = ids >= self.first
        if not self.rows or not bool(seen.any()):
            embedded: Tensor = self.words(ids)
            return embedded
        if len(self.rows) > 1:
            self.rows = [torch.cat(self.rows)]
        embedded = self.words(ids.masked_fill(seen, 0))
        rows = nn.functional.embedding((ids - self.first).masked_fill(~seen, 0), self.rows[0].to(embedded.device))
        return torch.where(seen[..., None], rows.to(embedded.dtype), embedded)


class ModelEyes:
    """The eyes of a vision-language model whose language part is `model` (see `token_backend.Eyes`).

    Args:
        whole: the model of transformers around it.
        folder: its folder, which says how pictures are prepared.
        encode: text to ids.

    Raises:
        InputError: the tokenizer lacks the image's token.
    """

    def __init__(self, model: CausalModel, whole: Any, folder: Path, encode: Encode, token_of: Any) -> None:
        self.whole, self.folder, self.encode = whole, folder, encode
        self.token_id = int(whole.config.image_token_id)
        token = token_of(self.token_id)
        if token is None or encode(token) != [self.token_id]:
            raise InputError(f"{folder}: the image's token has the id {self.token_id}, and the tokenizer has no special token there")
        self.token = str(token)
        self.embedding = SeeingEmbedding(model.embedding, model.vocab_size)
        model.embedding = self.embedding  # type: ignore[assignment]
        self._known: dict[str, list[int]] = {}
        self._processor: Any = None

    def text(self, text: str) -> str:
        return text.replace(MARK, self.token)

    def seen(self, ids: Sequence[int], pictures: Sequence[Picture]) -> list[int]:
        """InputError where the text shows other than `pictures`, or one cannot be read."""
        places = sum(token == self.token_id for token in ids)
        if places != len(pictures):
            raise InputError(f"a text shows {places} pictures, and there are {len(pictures)}; '{self.token}' may stand in it for pictures alone")
        waiting = iter(pictures)
        return [new for token in ids for new in (self._look(next(waiting)) if token == self.token_id else (token,))]

    def forget(self) -> None:
        self.embedding.clear()
        self._known.clear()

    def _look(self, picture: Picture) -> list[int]:
        if picture.sha256 not in self._known:
            self._known[picture.sha256] = self._ids(picture)
        return self._known[picture.sha256]

    @torch.inference_mode()
    def _ids(self, picture: Picture) -> list[int]:
        prepared = self._prepared(picture)
        tower = next(self.whole.model.parameters())
        inputs = {name: value.to(tower.device) for name, value in prepared.items() if isinstance(value, Tensor)}
        inputs["pixel_values"] = inputs["pixel_values"].to(tower.dtype)
        rows = torch.cat(list(self.whole.get_image_features(**inputs).pooler_output))
        ids = self.embedding.add(rows.reshape(-1, rows.shape[-1]))
        if self.whole.config.model_type not in ("idefics3", "smolvlm"):
            return ids
        parts = max(1, inputs["pixel_values"].shape[1])
        return self._between_marks(ids, len(ids) // parts, *(int(prepared[name][0][0]) for name in ("rows", "cols")))

    def _between_marks(self, ids: list[int], size: int, rows: int, columns: int) -> list[int]:
        """What Idefics3 and SmolVLM put around the parts of a picture, each of `size` ids: row by row, the whole picture last."""
        parts = [ids[start : start + size] for start in range(0, len(ids), size)]
        result: list[int] = []
        for row in range(rows):
            for column in range(columns):
                result += [*self.encode(f"{AROUND}<row_{row + 1}_col_{column + 1}>"), *parts[row * columns + column]]
            result += self.encode("\n") if row + 1 < rows else self.encode("\n\n")
        return [*result, *self.encode(AROUND + WHOLE), *parts[-1], *self.encode(AROUND)]

    def _prepared(self, picture: Picture) -> dict[str, Any]:
        require_extra("vision", "items with pictures")
        from PIL import Image, UnidentifiedImageError

        try:
            image = Image.open(io.BytesIO(picture.data)).convert("RGB")
        except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise InputError(f"picture {picture.name}: cannot be read ({one_line(error)})") from error
        more = {"return_row_col_info": True} if self.whole.config.model_type in ("idefics3", "smolvlm") else {}
        return dict(self.processor(images=[image], return_tensors="pt", **more))

    @property
    def processor(self) -> Any:
        """The image processor that the folder names."""
        if self._processor is None:
            from transformers import AutoImageProcessor

            try:
                self._processor = AutoImageProcessor.from_pretrained(self.folder, trust_remote_code=False)
            except Exception as error:  # as for weights, transformers raises errors of many kinds
                raise InputError(f"{self.folder}: no image processor that transformers can load ({one_line(error)})") from error
        return self._processor
