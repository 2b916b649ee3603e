// What is chosen on a page stands in its address, behind the anchor and a question mark (#scores?q=...), so that a link keeps it.
var address = (function () {
  function parts() {
    var text = location.hash.slice(1), at = text.indexOf("?");
    return [at < 0 ? text : text.slice(0, at), new URLSearchParams(at < 0 ? "" : text.slice(at + 1))];
  }
  var kept = parts()[1];
  function show(anchor) { history.replaceState(null, "", "#" + anchor + (kept.toString() ? "?" + kept : "")); }
  addEventListener("hashchange", function () {
    if (location.hash.indexOf("?") < 0) show(parts()[0]);  // a link to a section
    else location.reload();  // a whole address was typed
  });
  addEventListener("load", function () {
    var node = kept.toString() && document.getElementById(parts()[0]);
    if (node) node.scrollIntoView();
  });
  return {
    has: function (name) { return kept.has(name); },
    get: function (name) { return kept.get(name) || ""; },
    set: function (name, value, anchor) {
      if (value) kept.set(name, value); else kept.delete(name);
      show(anchor === undefined ? parts()[0] : anchor);
    },
  };
})();
