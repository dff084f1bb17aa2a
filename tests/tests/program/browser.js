// Runs inside a report's page, after the page's own script, and leaves what it found in the
// element `found`, as JSON. `trouble` was opened in the head, before anything else ran.
window.addEventListener("load", function () {
  "use strict";
  var wrong = window.trouble;
  var counts = {};
  function must(holds, what) { if (!holds) { wrong.push(what); } }
  function all(selector) { return Array.from(document.querySelectorAll(selector)); }
  function shown(element) { return element.textContent.trim().slice(0, 40); }

  // Tables are folded; here all of them are looked at.
  must(all("details").length > 5 && all("details[open]").length === 0, "tables are not folded");
  all("details").forEach(function (fold) { fold.open = true; });

  // Nothing is cut. (On a telephone drawings are moved under a finger.)
  all(".table .scroll, .strips").forEach(function (box) {
    must(box.scrollWidth <= box.clientWidth + 1, "cut: " + (box.getAttribute("aria-label") || "pictures"));
  });
  if (window.innerWidth > 1000) {
    all("figure .scroll").forEach(function (box) {
      must(box.scrollWidth <= box.clientWidth + 1, "cut: " + box.getAttribute("aria-label"));
    });
    // The first screen: the verdict, the picture and the main table side by side.
    var parts = all(".screen > *").map(function (part) { return part.getBoundingClientRect(); });
    must(parts.length > 1 && parts[0].right <= parts[1].left, "picture and table are not side by side");
    must(parts.every(function (part) { return part.top < 400; }), "the first screen begins too low");
    must(document.querySelector(".verdict").getBoundingClientRect().bottom < parts[0].top, "no verdict above");
  }

  // Pictures.
  all("img").forEach(function (image) {
    must(image.complete && image.naturalWidth > 0, "picture does not load: " + image.alt);
    must(image.alt.trim() !== "", "picture without words");
  });
  all("figure svg").forEach(function (drawing) {
    var box = drawing.getBoundingClientRect();
    must(box.width > 100 && box.height > 50, "drawing without size: " + drawing.getAttribute("aria-label"));
    must(drawing.getAttribute("role") === "img" && drawing.getAttribute("aria-label"), "drawing without words");
    must(drawing.querySelectorAll("text").length > 0, "drawing without text");
  });
  counts.pictures = all("img").length;
  counts.drawings = all("figure svg").length;

  // What axe calls serious, and more: names, roles, order, contrast.
  must(document.documentElement.lang === "en" && document.title.trim() !== "", "page without language or title");
  must(all("main").length === 1 && all("h1").length === 1, "not one main part and one first heading");
  var level = 0;
  all("h1,h2,h3,h4,h5,h6").forEach(function (heading) {
    var own = Number(heading.tagName[1]);
    must(own <= level + 1, "heading skips a level: " + shown(heading));
    level = own;
  });
  var ids = all("[id]").map(function (element) { return element.id; });
  must(new Set(ids).size === ids.length, "an id is there twice");
  all("a[href]").forEach(function (link) {
    must(shown(link) !== "", "link without text: " + link.href);
    var target = link.getAttribute("href");
    must(target[0] !== "#" || document.getElementById(target.slice(1)), "link leads nowhere: " + target);
  });
  all("table").forEach(function (table) {
    must(table.caption && table.caption.textContent.trim() !== "", "table without caption");
    must(Array.from(table.querySelectorAll("th")).every(function (head) { return head.scope; }), "heading cell without scope");
    var width = table.tHead.rows[0].cells.length;
    must(Array.from(table.tBodies[0].rows).every(function (row) { return row.cells.length === width; }), "ragged table");
  });
  all("input").forEach(function (input) { must(input.getAttribute("aria-label"), "field without name"); });
  all("[tabindex='0']").forEach(function (element) {
    must(element.getAttribute("aria-label") || shown(element) !== "", "focus without name");
  });
  function channels(color) { return (color.match(/[0-9.]+/g) || []).map(Number); }
  function luminance(color) {
    var linear = channels(color).slice(0, 3).map(function (value) {
      var share = value / 255;
      return share <= 0.04045 ? share / 12.92 : Math.pow((share + 0.055) / 1.055, 2.4);
    });
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  }
  function paper(element) {
    for (var at = element; at; at = at.parentElement) {
      var color = getComputedStyle(at).backgroundColor;
      var parts = channels(color);
      if (parts.length < 4 || parts[3] > 0) { return color; }
    }
    return "rgb(255, 255, 255)";
  }
  counts.contrast = 21;
  all("body *").forEach(function (element) {
    var own = Array.from(element.childNodes).some(function (node) {
      return node.nodeType === Node.TEXT_NODE && node.textContent.trim() !== "";
    });
    if (!own || ["SCRIPT", "STYLE"].includes(element.tagName)) { return; }
    var style = getComputedStyle(element);
    var drawn = element.closest("svg") ? (element.tagName === "text" ? style.fill : null) : style.color;
    if (!drawn) { return; }
    var a = luminance(drawn), b = luminance(paper(element));
    var contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    counts.contrast = Math.min(counts.contrast, contrast);
    must(contrast >= 4.5, "contrast " + contrast.toFixed(2) + ": " + element.tagName + " " + shown(element));
  });
  must(document.documentElement.scrollWidth <= window.innerWidth + 1,
    "the page is wider than its window: " + document.documentElement.scrollWidth);

  // Sorting, by mouse and by keyboard.
  var table = document.querySelector("#table-main table");
  var heads = Array.from(table.tHead.rows[0].cells);
  var at = heads.findIndex(function (head) { return head.classList.contains("n") && /^CA/.test(head.textContent); });
  function column() {
    return Array.from(table.tBodies[0].rows).map(function (row) { return parseFloat(row.cells[at].textContent); });
  }
  function ordered(values, down) {
    return values.every(function (value, i) {
      return i === 0 || (down ? values[i - 1] >= value : values[i - 1] <= value);
    });
  }
  var before = column();
  must(before.every(Number.isFinite) && before.length > 1, "nothing to sort");
  heads[at].click();
  must(ordered(column(), false), "not ascending: " + column());
  must(heads[at].getAttribute("aria-sort") === "ascending", "sorting is not said");
  heads[at].dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
  must(ordered(column(), true), "not descending: " + column());
  must(heads[at].getAttribute("aria-sort") === "descending", "turning round is not said");
  must(column().sort().join() === before.sort().join(), "sorting lost a row");
  heads[0].click();
  must(heads[at].getAttribute("aria-sort") === null, "two columns say they sort");
  counts.sorted = before.length;

  // Filtering.
  var box = document.querySelector("input.filter");
  must(box, "no table has a filter");
  if (box) {
    var rows = Array.from(box.closest(".table").querySelectorAll("tbody tr"));
    var visible = function () { return rows.filter(function (row) { return row.offsetParent !== null; }); };
    var say = function (text) { box.value = text; box.dispatchEvent(new Event("input")); };
    var word = rows[rows.length - 1].cells[0].textContent.trim();
    say(word.toUpperCase());
    var hits = visible();
    must(hits.length > 0 && hits.every(function (row) { return row.textContent.includes(word); }), "filter shows other rows");
    say("no row says this");
    must(visible().length === 0, "filter hides too little");
    say("");
    must(visible().length === rows.length, "an empty filter hides rows");
    counts.filtered = rows.length;
  }
  counts.dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  counts.width = window.innerWidth;
  var found = document.createElement("pre");
  found.id = "found";
  found.textContent = JSON.stringify({ wrong: wrong, counts: counts });
  document.body.appendChild(found);
});
