(function () {
  // Every table can be sorted by its columns, and one field searches the rows of all of them.
  var tables = Array.from(document.querySelectorAll("main table")), find = document.getElementById("find"), total = document.getElementById("found");
  // What moves and hides together: the rows of a table, or its row groups where there are several.
  function units(table) { return table.tBodies.length > 1 ? Array.from(table.tBodies) : table.tBodies.length ? Array.from(table.tBodies[0].rows) : []; }
  function cell(unit, column) { return (unit.rows ? unit.rows[0] : unit).cells[column]; }
  var sizes = { s: 1, min: 60, h: 3600, d: 86400, B: 1, KiB: 1024, MiB: 1048576, GiB: 1073741824, TiB: 1099511627776 };
  // "1 h 2 min" and "3.5 GiB" as numbers; undefined for any other text.
  function measured(text) {
    var parts = text.match(/^(?:[\d.]+ [A-Za-z]+ ?)+$/) && text.match(/[\d.]+ [A-Za-z]+/g);
    return parts && parts.every(function (part) { return part.split(" ")[1] in sizes; }) ?
      parts.reduce(function (sum, part) { return sum + part.split(" ")[0] * sizes[part.split(" ")[1]]; }, 0) : undefined;
  }
  function value(unit, column) {
    var node = cell(unit, column), first = node && node.firstChild;
    var text = first ? (node.querySelector("svg") ? "" : first.textContent).trim() : "", number = text.replace(/[,%\s]/g, "").replace("\u2212", "-");
    var size = measured(text);
    return number !== "" && !isNaN(number) ? Number(number) : size === undefined ? text : size;
  }
  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a - b;
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return a.localeCompare(b, undefined, { numeric: true });
  }
  function sort(table, column, down) {
    var parent = table.tBodies.length > 1 ? table : table.tBodies[0];
    units(table).map(function (unit) { return [value(unit, column), unit]; })
      .sort(function (a, b) { return down ? compare(b[0], a[0]) : compare(a[0], b[0]); })
      .forEach(function (pair) { parent.appendChild(pair[1]); });
    Array.from(table.tHead.rows[0].cells).forEach(function (head, index) {
      if (index === column) head.setAttribute("aria-sort", down ? "descending" : "ascending"); else head.removeAttribute("aria-sort");
    });
  }
  tables.forEach(function (table, number) {
    var spanned = table.tBodies.length === 1 && table.querySelector("tbody [rowspan]");
    if (!table.tHead || units(table).length < 2 || spanned) return;
    Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
      if (!head.textContent.trim()) return;
      var button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append.apply(button, Array.from(head.childNodes));
      button.onclick = function () {
        var down = head.getAttribute("aria-sort") === "ascending" || (!head.hasAttribute("aria-sort") && head.classList.contains("n"));
        sort(table, column, down);
        address.set("sort", number + "." + column + (down ? "d" : "u"));
      };
      head.appendChild(button);
    });
  });
  var asked = /^(\d+)\.(\d+)([du])$/.exec(address.get("sort")), wanted = asked && tables[asked[1]];
  if (wanted && wanted.querySelector(".sort") && wanted.tHead.rows[0].cells[asked[2]]) sort(wanted, Number(asked[2]), asked[3] === "d");

  if (!find || !tables.some(function (table) { return units(table).length > 1; })) return;
  find.parentNode.hidden = false;
  find.value = address.get("q");
  function words(text) { return text.normalize("NFKC").toLowerCase(); }
  function search() {
    var parts = words(find.value).split(/\s+/).filter(Boolean), held = 0;
    tables.forEach(function (table) {
      var left = 0;
      units(table).forEach(function (unit) {
        var text = parts.length ? words(unit.textContent) : "";
        unit.hidden = !parts.every(function (part) { return text.indexOf(part) >= 0; });
        left += unit.hidden ? 0 : 1;
      });
      held += left;
      table.parentNode.hidden = parts.length > 0 && !left;
    });
    total.textContent = parts.length ? language.say(held === 1 ? "{} row" : "{} rows", held) : "";
  }
  find.oninput = function () { search(); address.set("q", find.value); };
  language.changed(search);
  if (find.value) search();
})();
