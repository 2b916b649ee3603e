"""Records are closed: a field that is not used is a note about the record, or it is refused.

What changes the meaning of a conversation must not be dropped without a word: the answer to a picture, a passage or a system prompt that is left out is a wrong
answer. So a field is taken for a note only where its name is that of one, or where it holds no more than a label; all others are refused, with the way out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from jp_adapt.core.errors import InputError


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


OTHER_SHAPE = "says something beside the conversation; keep one of the two"
MEDIA = "pictures, sounds and films are not trained on here; take the record out"
PASSAGE = "is text that the answer needs; put it into a message"
MASK = "says what is trained on; say it for each message as 'weight': 0 or 1"
CALLS = "is the older form; write 'tools' and 'tool_calls'"
SETTING = "is a setting of the template, which is the recipe's; take it out"
REFUSED = {
    **dict.fromkeys(("image", "images", "video", "videos", "audio", "audios", "pixel_values"), MEDIA),
    **dict.fromkeys(("context", "contexts", "passage", "passages", "document", "documents", "knowledge", "evidence", "background", "persona"), PASSAGE),
    **dict.fromkeys(("functions", "function_call", "function"), CALLS),
    **dict.fromkeys(("chat_template", "chat_template_kwargs", "enable_thinking", "add_generation_prompt", "continue_final_message"), SETTING),
    **dict.fromkeys(("mask", "masks", "loss_mask", "labels", "loss_weight", "loss_weights", "loss_scale", "completion_mask", "assistant_masks"), MASK),
    **dict.fromkeys(("input_ids", "attention_mask", "token_ids"), "is text cut into tokens already; give the text"),
    **dict.fromkeys(("prompt", "completion", "response", "answer", "question", "query", "text", "messages", "conversations", "instruction"), OTHER_SHAPE),
    **dict.fromkeys(("output", "input", "dialogue", "dialog", "turns"), OTHER_SHAPE),
    **dict.fromkeys(("chosen", "rejected"), "makes a preference of it; say format: preference in the source"),
    **dict.fromkeys(("prefix", "suffix", "prefill", "refusal"), "is text of the answer; write it as 'content'"),
    **dict.fromkeys(("kto_tag", "label"), "tells good answers from bad ones, and all are trained on here; take the bad ones out, then the field"),
    "margin": "says how much better an answer is, which is not used; take it out",
    "developer": "is a system prompt; write it as 'system'",
    "system_prompt": "is a system prompt; write it as 'system'",
}
NOTES = _words(
    "annotations annotator author authors category categories channel_name comment comments config content_type conv country create created creator "
    "data_source dataset date difficulty domain email engine file filename finish_reason genre guid hash id ids idx index info instance_type intent "
    "keyword keywords kind lang language level licence license link locale logprobs md5 memo meta metadata method model moderation name_of_dataset "
    "note notes num number openai_moderation origin parallel_tool_calls path perplexity ppl priority provider quality rank rating ratings redacted "
    "region remarks revision score scores seed sha1 sha256 skill skills source sources split src state stats status style subcategory subject subset "
    "subtask tag tags task task_type temperature time timestamp title topic topics toxic toxicity type uid updated url urls usage user_id uuid version"
)
NOTE_STARTS = ("num", "n", "is", "has", "score", "meta", "metadata", "stat", "stats", "")
NOTE_ENDS = _words(
    "id ids idx index uuid hash url urls score scores rating ratings count counts tokens at date time lang language source license licence model name "
    "type version category tag tags length len"
)
MEDIA_WORDS = frozenset(("image", "images", "video", "videos", "audio", "audios", "pixel", "picture", "pictures"))
MEANING_WORDS = _words(
    "system prompt prompts instruction instructions history tool tools context contexts message messages question questions answer answers response "
    "responses input inputs output outputs conversation conversations document documents passage passages reasoning thinking thought thoughts "
    "rationale function functions"
)
LABEL_CHARS, LABEL_SPACES, LABELS = 64, 3, 50


@dataclass
class Fields:
    """Which fields are read in records, and how often each other one was met.

    Attributes:
        ignore: names that the user says are notes, whatever they hold.
    """

    ignore: Collection[str] = ()
    notes: Counter[str] = field(default_factory=Counter)

    def check(self, record: Mapping[str, Any], used: Collection[str], place: str) -> None:
        """InputError, at `place`, for a field of `record` that is neither used nor a note."""
        for name, value in record.items():
            if name in used or is_absent(value):
                continue
            if name not in self.ignore and (reason := _why_refused(str(name), value, used)):
                raise InputError(f"{place}: '{name}' {reason}; or, if it is but a note: ignore: [{name}] in the source")
            self.notes[str(name)] += 1

    def said(self) -> str:
        """What was met of notes, with how many records hold each."""
        return ", ".join(f"{name} ({count:,})" for name, count in self.notes.most_common())


def is_absent(value: Any) -> bool:
    """Whether a field holds nothing, as tables write it for records that lack it."""
    return value is None or (isinstance(value, (str, list, dict)) and not value)


def _why_refused(name: str, value: Any, used: Collection[str]) -> str:
    """Why a field that is not used is not a note; empty where it is one."""
    plain = re.sub(r"[\s\-]+", "_", name.strip()).lower()
    words, number = plain.split("_"), isinstance(value, (bool, int, float))
    reason = REFUSED.get(plain) or (MEDIA if MEDIA_WORDS & set(words) and not number else None)
    if reason is not None and not (reason == OTHER_SHAPE and number) and not (plain == "label" and not isinstance(value, bool)):
        return reason
    if plain in NOTES or (len(words) > 1 and (words[0] in NOTE_STARTS or words[-1] in NOTE_ENDS)):
        return ""
    near = next((other for other in (*used, *REFUSED) if _is_near(plain, other)), None)
    if near is not None and reason is None:
        return f"is not read here; is it '{near}'?" if near in used else f"is not read here; is it '{near}'? That {REFUSED[near]}"
    if MEANING_WORDS & set(words) and not number:
        return "sounds like a part of the conversation, and is not read here; put it into a message, or take it out"
    return "" if _is_label(value) else "holds more than a label, and is not read here; put it into a message, or take it out"


def _is_near(name: str, other: str) -> bool:
    from rapidfuzz.distance import OSA

    return len(other) > 3 and OSA.distance(name, other, score_cutoff=2) <= (1 if len(other) < 9 else 2)


def _is_label(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= LABEL_CHARS and value.count(" ") <= LABEL_SPACES and not any(mark in value for mark in "\n。？?！!")
    if isinstance(value, list):
        return len(value) <= LABELS and all(not isinstance(entry, (list, dict)) and _is_label(entry) for entry in value)
    return not isinstance(value, dict)
