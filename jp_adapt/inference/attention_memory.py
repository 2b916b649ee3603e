"""Keys and values of all layers, and attention over them: answers that grow side by side, a row each, and texts that are read piece by piece.

One forward pass takes a token of every answer and pieces of texts behind one another: products of matrices take 16 tokens at half the speed at which they take
128 (prompts in chunks beside decoding: Sarathi-Serve 2403.02310). Query heads that share keys see these as they are, without copies (grouped-query attention).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


@dataclass(frozen=True)
class Piece:
    """Tokens of the text that is read, which come after `start` tokens in memory and end at `end`.

    Attributes:
        mask: bool [end - start, end], what each of them sees; None: all up to itself.
        row: which row is to hold the text as it is behind this piece, if one is.
    """

    start: int
    end: int
    mask: Tensor | None = None
    row: int | None = None


class AttentionMemory:
    """Keys and values [rows + 1, heads, capacity, D] of each layer; the last row is for the text that is read.

    That text stays until another is read over it: one that begins alike goes on behind what both share.
    """

    def __init__(self, rows: int, capacity: int, dtype: torch.dtype, device: torch.device) -> None:
        self.rows, self.capacity, self.dtype, self.device = rows, capacity, dtype, device
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}
        self.plan([], [])

    def plan(self, lengths: Sequence[int], pieces: Sequence[Piece]) -> None:
        """What the next pass has: one token for each of the first rows, which hold `lengths` tokens so far, then the pieces, read in their order."""
        self._numbers = torch.arange(len(lengths), device=self.device)
        self._lengths = torch.tensor(lengths, dtype=torch.long, device=self.device)
        self._seen = max(lengths, default=0) + 1
        places = torch.arange(max([self._seen, *(piece.end for piece in pieces)]), device=self.device)
        self._rows_mask = self._added(places[: self._seen] <= self._lengths[:, None])[:, None, None]
        self._pieces: list[tuple[Piece, Tensor | None]] = []
        for piece in pieces:
            causal = piece.mask is None and piece.start == 0  # torch's kernel knows that by itself, and leaves out what is not seen
            mask = places[: piece.end] <= places[piece.start : piece.end, None] if piece.mask is None else piece.mask
            self._pieces.append((piece, None if causal else self._added(mask)))

    def _added(self, mask: Tensor) -> Tensor:
        """What is added to scores: torch would make it anew from `mask` in every layer."""
        return torch.zeros(mask.shape, dtype=self.dtype, device=self.device).masked_fill_(~mask, float("-inf"))

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0

    def update(self, keys: Tensor, values: Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """What transformers calls before `attend`, with keys and values [1, heads, T, D] of the pass."""
        if layer_idx not in self._layers:
            shapes = [(self.rows + 1, tensor.shape[1], self.capacity, tensor.shape[3]) for tensor in (keys, values)]
            self._layers[layer_idx] = keys.new_zeros(shapes[0]), values.new_zeros(shapes[1])  # zeros: a masked NaN would still be a NaN
        self._layer = self._layers[layer_idx]
        return keys, values

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, scaling: float) -> Tensor:
        """Attention [1, T, query heads, D] of the pass, whose query [1, query heads, T, D] and keys and values these are; the latter stay in memory."""
        grouped = query[0].unflatten(0, (keys.shape[1], -1))  # [heads, queries that share keys, T, D]
        new, start = (keys[0], values[0]), len(self._numbers)
        parts = []
        if start:
            for memory, own in zip(self._layer, new, strict=True):
                memory[self._numbers, :, self._lengths] = own[:, :start].transpose(0, 1)
            row_keys, row_values = (memory[:start, :, : self._seen] for memory in self._layer)
            attended = scaled_dot_product_attention(grouped[:, :, :start].permute(2, 0, 1, 3), row_keys, row_values, attn_mask=self._rows_mask, scale=scaling)
            parts.append(attended.flatten(1, 2))
        for piece, mask in self._pieces:
            end = start + piece.end - piece.start
            for memory, own in zip(self._layer, new, strict=True):
                memory[-1, :, piece.start : piece.end] = own[:, start:end]
            text_keys, text_values = (memory[-1, :, None, : piece.end].expand(-1, grouped.shape[1], -1, -1) for memory in self._layer)
            attended = scaled_dot_product_attention(grouped[:, :, start:end], text_keys, text_values, attn_mask=mask, is_causal=mask is None, scale=scaling)
            parts.append(attended.flatten(0, 1).transpose(0, 1))
            if piece.row is not None:
                self._copy(self._layer, -1, piece.row, piece.end)
            start = end
        return torch.cat(parts)[None]

    def move(self, source: int, target: int, length: int) -> None:
        """The first `length` positions of a row, to another."""
        for layer in self._layers.values():
            self._copy(layer, source, target, length)

    @staticmethod
    def _copy(layer: tuple[Tensor, Tensor], source: int, target: int, length: int) -> None:
        for memory in layer:
            memory[target, :, :length] = memory[source, :, :length]
