(function () {
  // The items stand in #data as JSON. Every text of theirs goes through textContent: nothing of it is ever read as markup.
  var data = JSON.parse(document.getElementById("data").textContent), root = document.getElementById("browser");
  var size = 50, start = 0, found = [], named = [];  // named: what says the words of the controls
  var japanese = /[\u3040-\u30ff\u3400-\u9fff\uff66-\uff9f]/;
  function make(tag, text, className) {
    var node = document.createElement(tag);
    if (text !== undefined) node.textContent = text;
    if (japanese.test(text || "")) node.lang = "ja";
    if (className) node.className = className;
    return node;
  }
  function choose(name, options) {
    var label = make("label"), caption = make("span"), select = make("select");
    label.append(caption, " ");
    options.forEach(function (option) {
      var node = make("option");
      node.value = option[0];
      select.appendChild(node);
    });
    named.push(function () {
      caption.textContent = language.say(name);
      options.forEach(function (option, index) { select.options[index].textContent = language.say.apply(null, [].concat(option[1])); });
    });
    select.onchange = function () { start = 0; draw(); keep(); };
    label.appendChild(select);
    controls.appendChild(label);
    return select;
  }
  var controls = make("div", undefined, "controls"), count = make("p", "", "note"), list = make("div"), pager = make("div", undefined, "controls");
  count.setAttribute("role", "status");
  var benchmark = choose("Benchmark", [["", "all"]].concat(data.benchmarks.map(function (id, index) { return [String(index), id]; })));
  var outcome = choose("Outcome", data.outcomes);
  var flag = choose("Flag", [["", "any"], ["moved", "boundary moved"], ["truncated", "truncated"], ["cut", "answer cut"]]);
  var order = choose("Order", [["", "as in the data"], ["low", "lowest score first"], ["high", "highest score first"]].concat(data.items.some(function (item) { return item.answers.length > 1; }) ?
    [["lost", "largest loss against the first"], ["gained", "largest gain over the first"]] : []));
  var label = make("label"), caption = make("span"), search = make("input");
  label.append(caption, " ");
  named.push(function () { caption.textContent = language.say("Text"); });
  search.type = "search";
  search.oninput = function () { start = 0; draw(); keep(); };
  label.appendChild(search);
  controls.appendChild(label);
  function text(item) {
    return [item.id, item.group, item.prompt, item.gold].concat(item.choices || [], item.answers.map(function (one) { return one.text; })).join("\n").normalize("NFKC").toLowerCase();
  }
  function matches(item) {
    var wanted = search.value.trim().normalize("NFKC").toLowerCase();
    return (benchmark.value === "" || String(item.b) === benchmark.value) && (outcome.value === "" || item.outcomes.indexOf(outcome.value) >= 0) &&
      (flag.value === "" || item.flags.indexOf(flag.value) >= 0) && (wanted === "" || text(item).indexOf(wanted) >= 0);
  }
  function score(answer) {
    var signs = { "\u2713": 1, "\u2717": 0 };
    return answer ? (answer.score in signs ? signs[answer.score] : parseFloat(answer.score)) : NaN;
  }
  // What an item is sorted by, the smallest first; one without a score stands at the end.
  function rank(item) {
    var first = score(item.answers[0]), last = score(item.answers[item.answers.length - 1]);
    var value = { low: last, high: -last, lost: last - first, gained: first - last }[order.value];
    return isNaN(value) ? Infinity : value;
  }
  function ordered(items) {
    if (!order.value) return items;
    return items.map(function (item, at) { return [rank(item), at, item]; }).sort(function (a, b) { return a[0] === b[0] ? a[1] - b[1] : a[0] - b[0]; })
      .map(function (row) { return row[2]; });
  }
  function block(name, value, parent) {
    parent.appendChild(make("h3", name));
    parent.appendChild(make("pre", value, "sample"));
  }
  function folded(name, value, parent) {
    var box = make("details");
    box.appendChild(make("summary", name));
    box.appendChild(make("pre", value, "sample"));
    parent.appendChild(box);
  }
  function answer(one, parent) {
    if (one.thought) folded(language.say("{}: thought", one.model), one.thought, parent);
    block(one.model + ": " + one.score, one.text, parent);
    (one.judged || []).forEach(function (said) { block(language.say("Judge, turn {}, take {}: {}", said[0], said[1], said[2]), said[3], parent); });
    (one.samples || []).forEach(function (text, index) { folded(language.say("{}: answer {} of {}", one.model, index + 1, one.samples.length), text, parent); });
  }
  function card(item) {
    var box = make("details"), head = make("summary", data.benchmarks[item.b] + " · " + item.id + (item.group ? " · " + item.group : ""));
    item.answers.forEach(function (one) { head.appendChild(make("span", one.model + " " + one.score, "mark " + one.mark)); });
    var lines = item.prompt.trim().split("\n").slice(-3);  // the question is the longest of the last lines, below it stands "Answer:" or the like
    head.appendChild(make("span", lines.sort(function (a, b) { return b.length - a.length; })[0].slice(-120), "asked"));
    box.appendChild(head);
    box.ontoggle = function () {
      if (!box.open || box.dataset.filled) return;
      box.dataset.filled = "1";
      if (item.shared !== undefined) {
        folded(language.say("Beginning that its prompts share"), data.shared[item.shared], box);
      }
      block(language.say("Prompt"), item.prompt, box);
      if (item.choices) {
        var table = make("table"), row = table.insertRow();
        [language.say("Choice"), language.say("Right")].concat(item.answers.map(function (one) { return one.model + ", nats"; })).forEach(function (name) { row.appendChild(make("th", name)); });
        item.choices.forEach(function (choice, index) {
          var line = table.insertRow();
          line.appendChild(make("td", choice));
          line.insertCell().textContent = String(index) === item.gold ? "\u2713" : "";
          item.answers.forEach(function (one) {
            line.insertCell().textContent = (one.nats ? one.nats[index] : "") + (String(index) === one.text ? " \u2190" : "");
          });
        });
        box.appendChild(table);
      } else {
        if (item.gold) block(language.say("Right answer"), item.gold, box);
        var beside = make("div", undefined, item.answers.length > 1 ? "pair" : "");
        item.answers.forEach(function (one) {
          var side = make("div");
          answer(one, side);
          beside.appendChild(side);
        });
        box.appendChild(beside);
      }
    };
    return box;
  }
  function button(name, step) {
    var node = make("button", name);
    node.type = "button";
    node.disabled = start + step < 0 || start + step >= found.length;
    node.onclick = function () { start += step; show(); };
    pager.appendChild(node);
  }
  function show() {
    list.replaceChildren();
    found.slice(start, start + size).forEach(function (item) { list.appendChild(card(item)); });
    count.textContent = language.say(found.length ? "{} of {} items, shown {} to {}" : "{} of {} items", found.length, data.items.length, start + 1, Math.min(start + size, found.length));
    pager.replaceChildren();
    button(language.say("Back"), -size);
    button(language.say("Next"), size);
  }
  function keep() { filters.forEach(function (pair) { address.set(pair[1], pair[0].value, "items"); }); }
  function draw() { found = ordered(data.items.filter(matches)); show(); }
  [controls, count, list, pager].forEach(function (node) { root.appendChild(node); });
  // A link can carry the filters: #items?outcome=lost1&benchmark=0&flag=moved&text=...&open
  var filters = [[benchmark, "benchmark"], [outcome, "outcome"], [flag, "flag"], [order, "order"], [search, "text"]];
  filters.forEach(function (pair) { if (address.has(pair[1])) pair[0].value = address.get(pair[1]); });
  function name() { named.forEach(function (one) { one(); }); draw(); }
  language.changed(name);
  name();
  if (address.has("open") && list.firstChild) list.firstChild.open = true;
})();
