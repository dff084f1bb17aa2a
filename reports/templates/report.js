// Sorts a table by a column and filters its rows. Without this the page says the same.
(function () {
  "use strict";
  // The number a cell begins with; nothing when it holds words.
  function number(text) {
    var plain = text.replace(/,/g, "").replace(/\u2212/g, "-").replace(/^</, "");
    var value = parseFloat(plain);
    return /^[-+]?[0-9.]/.test(plain) && Number.isFinite(value) ? value : null;
  }
  function said(cell) {
    var copy = cell.cloneNode(true);
    copy.querySelectorAll(".ci").forEach(function (interval) { interval.remove(); });
    return copy.textContent.trim();
  }
  function sort(table, head, at) {
    var body = table.tBodies[0];
    var rows = Array.from(body.rows);
    var down = head.getAttribute("aria-sort") === "ascending";
    var numeric = head.classList.contains("n");
    var keyed = rows.map(function (row) {
      var text = said(row.cells[at]);
      return { row: row, text: text, value: numeric ? number(text) : null };
    });
    keyed.sort(function (a, b) {
      if (numeric) {
        // What is missing comes last, whichever way.
        if (a.value === null || b.value === null) { return (a.value === null) - (b.value === null); }
        return down ? b.value - a.value : a.value - b.value;
      }
      var order = a.text.localeCompare(b.text, "en", { numeric: true });
      return down ? -order : order;
    });
    keyed.forEach(function (item) {
      item.row.classList.add("first");
      item.row.cells[0].classList.remove("again");
      body.appendChild(item.row);
    });
    Array.from(head.parentNode.cells).forEach(function (other) { other.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  }
  // A link to a folded table opens it; paper has all of them.
  function unfold() {
    var target = location.hash && document.getElementById(location.hash.slice(1));
    var fold = target && target.closest("details");
    if (fold) { fold.open = true; }
  }
  window.addEventListener("hashchange", unfold);
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (fold) { fold.open = true; });
  });
  unfold();
  // On a telephone a drawing fits its width, and is shown large when it is tapped.
  document.querySelectorAll("figure .scroll").forEach(function (box) {
    function turn() { box.classList.toggle("large"); }
    box.addEventListener("click", turn);
    box.addEventListener("keydown", function (event) { if (event.key === "Enter") { turn(); } });
  });
  document.querySelectorAll(".table table").forEach(function (table) {
    var rows = Array.from(table.tBodies[0].rows);
    if (rows.length < 2) { return; }
    Array.from(table.tHead.rows[0].cells).forEach(function (head, at) {
      head.classList.add("sortable");
      head.tabIndex = 0;
      head.addEventListener("click", function () { sort(table, head, at); });
      head.addEventListener("keydown", function (event) {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(table, head, at); }
      });
    });
    if (rows.length < 12) { return; }
    var box = document.createElement("input");
    box.type = "search";
    box.className = "filter";
    box.placeholder = "Show rows with \u2026";
    box.setAttribute("aria-label", "Show only rows of this table that contain these words");
    box.addEventListener("input", function () {
      var words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      rows.forEach(function (row) {
        var text = row.textContent.toLowerCase();
        row.hidden = !words.every(function (word) { return text.indexOf(word) >= 0; });
      });
    });
    table.parentNode.parentNode.insertBefore(box, table.parentNode);
  });
})();
