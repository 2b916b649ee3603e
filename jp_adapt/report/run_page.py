"""The run report: one self-contained HTML page from the summary of a run.

Nothing is fetched and nothing from the summary is trusted: every text goes through `escape`, and a content policy keeps the browser
from running or loading anything else. A value that a run does not have is left out or shown as a dash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jp_adapt.report.html_parts import cell, fact_list, lang, none, page, short_hash, table
from jp_adapt.report.run_charts import charts
from jp_adapt.report.run_data import at, listed, mappings
from jp_adapt.report.svg import Mark, interval_bar
from jp_adapt.report.token_parts import SCRIPT_NAMES, chip, criterion_name
from jp_adapt.report.written import duration_text, escape, finite, number_text, plain, range_text, size_text

# key in the summary, name, unit, the same in a sentence, digits, whether more is better
_HEADLINE = (
    ("chars_per_token", "Japanese characters per token", "chars/token", "Japanese text went from {} to {} characters per token", 2, True),
    ("bits_per_char_ja", "Held-out Japanese", "bits/char", "held-out Japanese from {} to {} bits per character", 2, False),
    ("bits_per_byte_en", "Guard: held-out English", "bits/byte", "held-out English from {} to {} bits per byte", 3, False),
)
_TEXT_COLUMNS = {"tokens": 0, "chars_per_token": 3, "tokens_per_word": 2, "bits_per_char": 3, "bits_per_byte": 3}  # decimals of each


def render(summary: Mapping[str, Any]) -> str:
    """The whole page as HTML text, for a summary of which any value may be None and any list empty."""
    sections = [
        ("headline", "The result in three numbers", _headline(summary)),
        ("tokenizers", "How the two tokenizers read the same sentence", _segmentation(mappings(summary, "segmentation"))),
        ("curves", "Training", _curves(summary)),
        ("scores", "Benchmarks", _scores(mappings(summary, "benchmarks"))),
        ("texts", "Held-out texts", _texts(mappings(summary, "texts"))),
        ("samples", "Samples before and after", _samples(mappings(summary, "samples"))),
        ("added", "What was added to the tokenizer", _tokenizer(summary)),
        ("provenance", "Provenance", _provenance(summary)),
    ]
    title = escape(at(summary, "run", "title")) or escape(at(summary, "run", "name")) or "Run report"
    return page(title, _sentence(summary), _run_facts(summary), sections, version=escape(at(summary, "run", "jp_adapt")))


def _sentence(summary: Mapping[str, Any]) -> str:
    """What was done and what came of it, from whatever of it is known."""
    added, stages = finite(at(summary, "tokenizer", "new_tokens")), len(mappings(summary, "training"))
    done = [f"was given {number_text(added, 0)} new Japanese tokens"] if added else []
    if stages:
        done.append(f"was trained in {stages} stage{'s' if stages > 1 else ''}")
    came = []
    for key, _, _, words, digits, _ in _HEADLINE:
        before, after = (finite(at(summary, "headline", key, side)) for side in ("base", "adapted"))
        if before is not None and after is not None:
            came.append(words.format(number_text(before, digits), number_text(after, digits)))
    opening = f"{escape(at(summary, 'models', 'base', 'name')) or 'The base model'} {' and '.join(done) or 'was evaluated'}"
    return f"{opening}: {', '.join(came)}." if came else f"{opening}."


def _run_facts(summary: Mapping[str, Any]) -> str:
    """Name, date and size of the run and of its models."""
    run = at(summary, "run")
    created = escape(at(run, "created")).replace("T", " ", 1).replace("+00:00", " UTC")
    facts = [("Run", escape(at(run, "name"))), ("Created", created), ("Seed", escape(at(run, "seed")))]
    facts.append(("Time", duration_text(run["elapsed_s"]) if at(run, "elapsed_s") is not None else ""))
    for name, key, unit, digits in (("Vocabulary", "vocab_size", 1.0, 0), ("Parameters, millions", "parameters", 1e-6, 1)):
        sizes = (at(summary, "models", side, key) for side in ("base", "adapted"))
        facts.append((name, " \u2192 ".join(number_text(size, digits, times=unit) for size in sizes if size is not None)))
    return fact_list(facts)


def _headline(summary: Mapping[str, Any]) -> str:
    """The three numbers, each with its relative change and what that change means."""
    cards = []
    for key, name, unit, _, digits, more_is_better in _HEADLINE:
        before, after = (finite(at(summary, "headline", key, side)) for side in ("base", "adapted"))
        if before is None and after is None:
            continue
        aim = "higher is better" if more_is_better else "lower is better; it should not rise" if key.endswith("_en") else "lower is better"
        numbers = f'<span class="from">{number_text(before, digits)} \u2192</span> {number_text(after, digits)} <small class="note">{unit}</small>'
        change = f'<p class="change">{_change(before, after, more_is_better)}</p><p class="note">{aim}</p>'
        cards.append(f'<li><p class="name">{name}</p><p class="numbers">{numbers}</p>{change}</li>')
    return f'<ul class="cards">{"".join(cards)}</ul>' if cards else none("This run measured none of the headline numbers.")


def _change(before: float | None, after: float | None, more_is_better: bool) -> str:
    """The change in percent and whether it is for the better. A change that rounds to nothing is called no change."""
    if before is None or after is None or before == 0:
        return "change unknown"
    percent = (after / before - 1) * 100
    if round(abs(percent), 1) == 0:
        return "no change (less than 0.05 %)"
    better = (percent > 0) == more_is_better
    return f'<span class="{"good" if better else "bad"}">{number_text(percent, 1, sign=True)} %, {"better" if better else "worse"}</span>'


def _segmentation(sentences: Sequence[Mapping[str, Any]]) -> str:
    """Each sentence as the tokens of both tokenizers, side by side."""
    if not sentences:
        return none("This run segmented no example sentences.")
    parts = [
        '<p class="key"><span><span class="chip">token</span> token of the base</span><span><span class="chip new">token</span> new token</span>'
        '<span><span class="chip hex"><code>E6 97</code></span> bytes of a character that the tokenizer has no whole token for</span></p>'
    ]
    for sentence in sentences:
        text, sides = escape(sentence.get("text")), []
        for side, name in (("base", "Base"), ("adapted", "Adapted")):
            tokens = mappings(sentence, side)
            ratio = number_text(len(plain(sentence.get("text"))) / max(1, len(tokens)), 2)
            count = f"{len(tokens)} token{'' if len(tokens) == 1 else 's'}, {ratio} chars/token" if tokens else "no tokens recorded"
            sides.append(f'<div><h4>{name}: {count}</h4><ol class="chips" lang="ja">{"".join(map(chip, tokens))}</ol></div>')
        parts.append(f'<p class="sentence"{lang(text)}>{text}</p><div class="pair">{"".join(sides)}</div>')
    return "\n".join(parts)


def _curves(summary: Mapping[str, Any]) -> str:
    """For each training stage: loss and held-out Japanese over tokens seen, and the English guard."""
    drawn, parts = charts(summary), []
    for stage in mappings(summary, "training"):
        name = plain(stage.get("stage")) or "stage"
        figures = "".join(f"<figure>{drawn[key]}</figure>" for key in (f"{name}-ja", f"{name}-en") if key in drawn)
        kind = f" ({escape(stage.get('kind'))})" if plain(stage.get("kind")) not in ("", name) else ""
        shown = f'<div class="figures">{figures}</div>' if figures else none("This stage recorded no curve.")
        parts.append(f"<h3>Stage {escape(name)}{kind}</h3>{shown}")
    return "\n".join(parts) or none("This run trained nothing.")


def _scores(benchmarks: Sequence[Mapping[str, Any]]) -> str:
    """In words what each benchmark can tell, then the numbers."""
    if not benchmarks:
        return none("This run scored no benchmark.")
    words = ""
    for one in benchmarks:
        warnings = "".join(f'<p class="warning"><strong>Warning:</strong> {escape(text)}</p>' for text in listed(one, "warnings") if text)
        title = escape(one.get("title")) or escape(one.get("id")) or "Benchmark"
        words += f"<li><strong{lang(title)}>{title}</strong>: {_verdict(one)}{_against_chance(one)}{warnings}</li>"
    many = " Each benchmark is judged by itself; nothing corrects for looking at several." if len(benchmarks) > 1 else ""
    test = "p: exact McNemar test, or random flips where an item is not just right or wrong."
    note = f'<p class="note">Bars: dot = score, line = 95 % interval, upper = base, lower = adapted, dashed = chance level. {test}{many}</p>'
    columns = ["Benchmark", "Score, base above adapted", "Items", "Base", "Adapted", "Difference", "p", "Detectable"]
    caption = "Primary metric in percent and paired difference in points, with 95 % intervals; detectable: the smallest difference likely to show"
    return f'<ul class="verdicts">{words}</ul>{table(caption, columns, "".join(map(_score_row, benchmarks)), 2)}{note}'


def _score_row(one: Mapping[str, Any]) -> str:
    """One benchmark as a table row."""
    chance, p, marks, cells = finite(one.get("chance")), finite(one.get("p")), [], [cell(number_text(one.get("items"), 0))]
    for colour, (side, name) in enumerate((("base", "Base"), ("adapted", "Adapted"))):
        value, interval = finite(at(one, side, "value")), _interval(one, side)
        cells.append(cell(number_text(value, 1, times=100), range_text(interval, 1, times=100)))
        if value is not None:
            marks.append(Mark(name, value, *(interval or (value, value)), colour=colour))
    title = plain(one.get("title")) or plain(one.get("id")) or "Benchmark"
    bar = interval_bar(marks, chance=chance, title=f"{_metric(one)} on {title}") if marks else ""
    difference = number_text(at(one, "difference", "value"), 1, times=100, sign=True)
    cells.append(cell(difference, range_text(_interval(one, "difference"), 1, times=100, sign=True)))
    cells.append(cell("&lt;0.001" if p is not None and p < 0.001 else number_text(p, 3)))
    cells.append(cell(number_text(one.get("minimal_detectable_difference"), 1, times=100)))
    below = (
        escape(one.get("name") or one.get("id")) if one.get("title") else "",
        f"chance {number_text(chance, 0, times=100)} %" if chance is not None else "",
    )
    small = "".join(f"<small>{text}</small>" for text in below if text)
    return f'<tr><th scope="row"{lang(title)}>{escape(title)}{small}</th><td>{bar}</td>{"".join(cells)}</tr>'


def _metric(one: Mapping[str, Any]) -> str:
    return plain(one.get("metric")).replace("_", " ").capitalize() or "Score"


def _verdict(one: Mapping[str, Any]) -> str:
    """Whether the paired difference can be told from zero, and what the benchmark could have shown at all."""
    difference, interval = finite(at(one, "difference", "value")), _interval(one, "difference")
    p, detectable = finite(one.get("p")), finite(one.get("minimal_detectable_difference"))
    if difference is None or interval is None:
        return "no paired difference was computed."
    told = f"{number_text(difference, 1, times=100, sign=True)} points (95 % interval {range_text(interval, 1, times=100, sign=True)})"
    excludes_zero = interval[0] > 0 or interval[1] < 0
    if p is not None and excludes_zero != (p < 0.05):
        text = f"the difference of {told} is borderline: the interval and the test disagree."
    elif excludes_zero:
        text = f"the adapted model scores {'higher' if difference > 0 else 'lower'}: {told}."
    else:
        text = f"the difference of {told} cannot be told from zero."
    if detectable is not None and not (excludes_zero and abs(difference) >= detectable):
        text += f" Only differences of {number_text(detectable, 1, times=100)} points or more can be expected to show on this benchmark."
    return text


def _against_chance(one: Mapping[str, Any]) -> str:
    """Names the models whose interval holds the chance level: a score that guessing would give as well."""
    chance, intervals = finite(one.get("chance")), {side: _interval(one, side) for side in ("base", "adapted")}
    guessing = [side for side, interval in intervals.items() if chance is not None and interval is not None and interval[0] <= chance <= interval[1]]
    who = "Neither model's score can" if len(guessing) == 2 else f"The {guessing[0]} model's score cannot" if guessing else ""
    return f" {who} be told from chance ({number_text(chance, 0, times=100)} %)." if who else ""


def _texts(texts: Sequence[Mapping[str, Any]]) -> str:
    """Tokens and bits of both models on each held-out text, and the change between them."""
    if not texts:
        return none("This run measured no held-out text.")
    caption = "Bits per character and per byte do not depend on how a text is cut into tokens; in brackets: 95 % interval of the paired difference"
    columns = ["Text", "Model", *(key.replace("_per_", "/").capitalize() for key in _TEXT_COLUMNS)]
    return table(caption, columns, "".join(map(_text_rows, texts)), 2)


def _text_rows(one: Mapping[str, Any]) -> str:
    """One text: a row for each model and one for the change."""
    small = [f"language: {escape(one['language'])}"] if one.get("language") else []
    small += [f"{number_text(one[key], 0)} {key}" for key in ("documents", "chars", "bytes") if one.get(key) is not None]
    head = f'<th scope="rowgroup" rowspan="3">{escape(one.get("id")) or "text"}{"".join(f"<small>{text}</small>" for text in small)}</th>'
    rows: dict[str, list[str]] = {"Base": [], "Adapted": [], "Change": []}
    for key, digits in _TEXT_COLUMNS.items():
        before, after = finite(at(one, "base", key)), finite(at(one, "adapted", key))
        rows["Base"].append(cell(number_text(before, digits)))
        rows["Adapted"].append(cell(number_text(after, digits)))
        change = f"{number_text(after / before - 1, 1, times=100, sign=True)} %" if before and after is not None else ""
        difference, interval = at(one, "difference", key), range_text(_interval(one, "difference"), 3, sign=True)
        told = f"{number_text(difference, 3, sign=True)}{f' ({interval})' if interval else ''}" if difference is not None else ""
        rows["Change"].append(cell(change, told))
    lines = [f'<th scope="row">{name}</th>{"".join(cells)}</tr>' for name, cells in rows.items()]
    return f'<tbody><tr class="quiet">{head}{lines[0]}<tr class="quiet">{lines[1]}<tr>{lines[2]}</tbody>'


def _samples(samples: Sequence[Mapping[str, Any]]) -> str:
    """What both models wrote after the same prompt."""
    if not samples:
        return none("This run generated no samples.")
    parts = []
    for one in samples:
        prompt, sides = escape(one.get("prompt")), []
        for side, name in (("base", "Base"), ("adapted", "Adapted")):
            text = escape(one.get(side))
            shown = f'<p class="sample"{lang(text)}>{text}</p>' if text.strip() else none("Nothing was generated.")
            sides.append(f"<div><h4>{name}</h4>{shown}</div>")
        parts.append(f'<h3{lang(prompt)}>{prompt or "No prompt"}</h3><div class="pair">{"".join(sides)}</div>')
    return "\n".join(parts)


def _tokenizer(summary: Mapping[str, Any]) -> str:
    """New tokens by script, the most used of them, and the criteria that say the old behaviour is kept."""
    part = at(summary, "tokenizer")
    added, criteria = finite(at(part, "new_tokens")), _items(part, "criteria")
    parts = [f"<p>{number_text(added, 0)} tokens were added.</p>"] if added is not None else []
    scripts = sorted(((count, str(name)) for name, value in _items(part, "by_script") if (count := finite(value))), reverse=True)
    if scripts:
        total, rows = sum(count for count, _ in scripts), ""
        for count, name in scripts:
            cells = cell(number_text(count, 0)) + cell(number_text(count / total, 1, times=100))
            bar = f'<td><span class="share" style="--share:{count / scripts[0][0]:.3f}"></span></td>'
            rows += f'<tr><th scope="row">{escape(SCRIPT_NAMES.get(name, name.replace("_", " ")))}</th>{bar}{cells}</tr>'
        parts.append(table("New tokens by script", ["Script", "Share", "Tokens", "Percent"], rows, 2))
    chips = ""
    for one in mappings(part, "examples"):
        chips += f'<li class="chip new">{escape(one.get("token"))}<span class="count">{number_text(one.get("count"), 0)}</span></li>'
    if chips:
        parts.append(f'<h3>Most used new tokens, with their counts</h3><ol class="chips" lang="ja">{chips}</ol>')
    if criteria:
        rows = "".join(_criterion(str(name), value) for name, value in criteria)
        parts.append(table("Criteria: each must be 0", ["Criterion", "Count", "Result"], rows))
    return "".join(parts) or none("This run did not change the tokenizer.")


def _criterion(name: str, value: Any) -> str:
    """A criterion with its number: 0 passes, anything else does not."""
    mark = '<span class="good">\u2713 pass</span>' if value == 0 else '<span class="bad">\u2717 fail</span>' if finite(value) else "not measured"
    return f'<tr><th scope="row">{escape(criterion_name(name))}</th>{cell(number_text(value, 0))}{cell(mark)}</tr>'


def _provenance(summary: Mapping[str, Any]) -> str:
    """Where everything came from and how to run it again."""
    part = at(summary, "provenance")
    base, env = (
        fact_list((str(name).replace("_", " "), short_hash(value) if name == "sha256" else escape(value)) for name, value in _items(part, key))
        for key in ("base", "env")
    )
    inputs = stages = ""
    for one in mappings(part, "inputs"):
        cells = f"<td>{short_hash(one.get('sha256'))}</td>{cell(size_text(one.get('bytes')))}"
        inputs += f'<tr><th scope="row"><code>{escape(one.get("path"))}</code></th>{cells}</tr>'
    for one in mappings(part, "stages"):
        words = f'<th scope="row">{escape(one.get("id"))}</th><td>{escape(one.get("kind"))}</td><td>{short_hash(one.get("fingerprint"))}</td>'
        stages += f"<tr>{words}{cell(duration_text(one.get('elapsed_s')))}{cell(size_text(one.get('peak_memory_bytes')))}</tr>"
    commands = "\n".join(escape(line) for line in listed(part, "repeat") if line)
    blocks = {
        "Base": base,
        "Inputs": inputs and table("Files that the run read", ["Path", "SHA-256", "Size"], inputs, 2),
        "Environment": env,
        "Stages": stages and table("In the order they ran", ["Stage", "Kind", "Fingerprint", "Time", "Peak memory"], stages, 3),
        "To repeat this run": commands and f'<pre tabindex="0"><code>{commands}</code></pre>',
    }
    return "".join(f"<h3>{name}</h3>{body}" for name, body in blocks.items() if body) or none("This run recorded no provenance.")


def _items(value: Any, key: str) -> list[tuple[Any, Any]]:
    found = at(value, key)
    return list(found.items()) if isinstance(found, Mapping) else []


def _interval(value: Any, key: str) -> tuple[float, float] | None:
    bounds = [bound for bound in map(finite, listed(at(value, key), "interval")) if bound is not None]
    return (bounds[0], bounds[1]) if len(bounds) == 2 else None
