// The page in English or Japanese. Whole phrases of the page are looked up in #words; what stands for data (code, samples, tokens, translate="no") stays as it is.
var language = (function () {
  var root = document.documentElement, button = document.getElementById("language"), table = JSON.parse(document.getElementById("words").textContent);
  var UNIT = /^\{\}( of \{\})?( [a-z]+){1,2}$/;  // as in "3 new tokens": only a number has one
  var found = new Map(), changed = [], kept = null;
  var patterns = Object.keys(table).filter(function (key) { return key.indexOf("{}") >= 0; }).map(function (key) {
    var parts = key.split("{}");
    return [parts, new RegExp("^" + parts.map(function (part) { return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"); }).join("(.+?)") + "$"), table[key]];
  }).sort(function (a, b) { return b[0].join("").length - a[0].join("").length; });  // the phrase that says most of a text is the one that fits
  function filled(text, values) {
    var next = 0;
    return text.replace(/\{(\d*)\}/g, function (whole, number) { return values[number === "" ? next++ : Number(number)]; });
  }
  function japanese(text, depth) {
    if (Object.prototype.hasOwnProperty.call(table, text)) return table[text];
    for (var i = 0; i < patterns.length; i += 1) {
      var parts = patterns[i][0];
      if (!text.startsWith(parts[0]) || !text.endsWith(parts[parts.length - 1])) continue;
      var match = patterns[i][1].exec(text);
      if (!match || match.slice(1).some(function (part) { return /\. [A-Z]/.test(part); })) continue;  // no part holds two sentences
      var given = match.slice(1), values = given.map(function (part) { return depth < 3 ? japanese(part, depth + 1) : part; });
      if ((depth === 0 && !UNIT.test(patterns[i][0].join("{}"))) || values.every(function (value, at) { return value !== given[at] || isValue(value); })) return filled(patterns[i][2], values);
    }
    return text;
  }
  // In a part of a phrase, what is no phrase itself may be a number or a name: a part is translated as a whole, or stays.
  function isValue(part) { return !/[A-Za-z]/.test(part) || !/\s/.test(part); }
  // Sentences of a drawing's description: all of them, or none.
  function sentences(text) {
    var parts = text.replace(/\.$/, "").split(/([.;] )/), words = parts.map(function (part, at) { return at % 2 ? (part === ". " ? "\u3002" : "\uff1b") : japanese(part, 0); });
    var whole = parts.every(function (part, at) { return at % 2 || words[at] !== part || !/[A-Za-z]/.test(part); });
    return parts.length > 1 && whole ? words.join("") + "\u3002" : text;
  }
  function inJapanese(text) {
    var bare = text.trim().replace(/\s+/g, " ");
    if (!/[A-Za-z]/.test(bare)) return text;
    if (!found.has(bare)) {
      var all = sentences(bare);
      found.set(bare, all === bare ? japanese(bare, 0) : all);
    }
    return found.get(bare) === bare ? text : text.match(/^\s*/)[0] + found.get(bare) + text.match(/\s*$/)[0];
  }
  function isData(node) { return node.closest('code, pre, script, style, textarea, .sample, .chips, #browser, [translate="no"], body [lang="ja"]'); }
  function change(node, name) {
    var before = name ? node.getAttribute(name) : node.data, after = inJapanese(before);
    if (after === before) return;
    changed.push([node, name, before]);
    if (name) node.setAttribute(name, after); else node.data = after;
  }
  function translate() {
    var walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT), nodes = [];
    while (walk.nextNode()) if (!isData(walk.currentNode.parentElement)) nodes.push(walk.currentNode);
    nodes.forEach(function (node) { change(node); });
    document.querySelectorAll("[aria-label], [placeholder], [title]").forEach(function (node) {
      if (!isData(node)) ["aria-label", "placeholder", "title"].forEach(function (name) { if (node.hasAttribute(name)) change(node, name); });
    });
  }
  function show(wanted) {
    changed.splice(0).forEach(function (one) { if (one[1]) one[0].setAttribute(one[1], one[2]); else one[0].data = one[2]; });
    root.lang = wanted;
    if (wanted === "ja") translate();
    button.textContent = wanted === "ja" ? "English" : "\u65e5\u672c\u8a9e";
    button.lang = wanted === "ja" ? "en" : "ja";
    document.dispatchEvent(new Event("language"));
  }
  function other() { return root.lang === "ja" ? "en" : "ja"; }
  button.onclick = function () {
    try { localStorage.setItem("language", other()); } catch (error) { /* a page from a file may keep nothing */ }
    show(other());
  };
  button.hidden = false;
  try { kept = localStorage.getItem("language"); } catch (error) { /* as above */ }
  show((kept || navigator.language.slice(0, 2)) === "ja" ? "ja" : "en");
  return {
    // A phrase of a script's own, with values for its {}.
    say: function (phrase) { return filled(root.lang === "ja" && Object.prototype.hasOwnProperty.call(table, phrase) ? table[phrase] : phrase, Array.prototype.slice.call(arguments, 1)); },
    changed: function (hear) { document.addEventListener("language", hear); },
  };
})();
