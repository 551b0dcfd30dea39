// The leaderboard adds sorting, filters and the details of a cell.

document.addEventListener("DOMContentLoaded", () => { addSorting(); addFilters(); addDetails(); });

// Sorting: the best first, then the worst first, then the order of the page again.

function addSorting() {
  for (const table of document.querySelectorAll("table.sortable")) {
    const restore = rememberOrder(table);
    const heads = [...table.tHead.rows].at(-1).cells;
    for (const head of heads) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const order = nextOrder(head);
        for (const other of heads) other.removeAttribute("aria-sort");
        restore();
        if (!order) return;
        head.setAttribute("aria-sort", order);
        sortRows(table, head.cellIndex, order);
      });
    }
  }
}

function nextOrder(head) {
  const orders = head.dataset.best === "high" ? ["descending", "ascending", null] : ["ascending", "descending", null];
  return orders[(orders.indexOf(head.getAttribute("aria-sort")) + 1) % orders.length];
}

function rememberOrder(table) {
  const rows = [...table.tBodies].map(body => [body, [...body.rows]]);
  return () => {
    table.querySelector("tbody.sorted")?.remove();
    for (const [body, own] of rows) { body.hidden = false; body.append(...own); }
  };
}

// Measured rows leave their groups and are sorted together; published ones stay apart.
function sortRows(table, column, order) {
  const isModel = row => !row.classList.contains("group");
  const bodies = [...table.tBodies], published = bodies.filter(body => body.classList.contains("published"));
  const measured = bodies.filter(body => !published.includes(body));
  const sorted = document.createElement("tbody");
  sorted.className = "sorted";
  sorted.append(...measured.flatMap(body => [...body.rows].filter(isModel)).sort(byColumn(column, order)));
  for (const body of measured) body.hidden = true;
  table.tHead.after(sorted);
  for (const body of published) body.append(...[...body.rows].filter(isModel).sort(byColumn(column, order)));
}

function byColumn(column, order) {
  const sign = order === "ascending" ? 1 : -1;
  if (column === 0) return (a, b) => sign * a.cells[0].textContent.localeCompare(b.cells[0].textContent, "en");
  const value = row => parseFloat(row.cells[column].dataset.value);
  return (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);  // what has no figure comes last, either way
    return sign * (x - y);
  };
}

// Filters: whatever names a data set, a setting or a question language shows if that is chosen, or nothing is.

function addFilters() {
  const form = document.getElementById("filters");
  const names = languageNames();
  for (const box of form.querySelectorAll("[name=language]")) box.parentElement.title = names(box.value);
  const update = () => {
    const chosen = {};
    for (const field of ["task", "setting", "language"]) {
      chosen[field] = [...form.querySelectorAll(`[name=${field}]:checked`)].map(box => box.value);
    }
    showChosen(chosen);
    form.querySelector("p").hidden = !form.querySelector(":checked");
    form.querySelector("output").textContent = summary(chosen);
  };
  form.addEventListener("change", update);
  form.addEventListener("reset", () => setTimeout(update));  // the boxes are cleared after the event
  form.hidden = false;
  form.querySelector("details").open = matchMedia("(min-width: 40rem)").matches;  // folded on a phone
  update();  // a browser may have kept the boxes of the last visit
}

function showChosen(chosen) {
  const shows = data => Object.entries(chosen).every(([field, some]) => !(field in data) || !some.length || some.includes(data[field]));
  for (const one of document.querySelectorAll("main [data-task]:not(th), tr[data-language]")) one.hidden = !shows(one.dataset);
  for (const table of document.querySelectorAll("table:has(th[data-task], th[data-language])")) {
    const heads = [...table.tHead.rows].at(-1).cells;
    for (const head of heads) head.hidden = !shows(head.dataset);
    for (const row of table.querySelectorAll("tbody tr:not(.group)")) {
      for (const cell of row.cells) cell.hidden = heads[cell.cellIndex].hidden;
    }
    spanGroups(table, heads);
  }
  if (chosen.language.length) for (const block of document.querySelectorAll("#languages details")) block.open = true;
}

function spanGroups(table, heads) {
  let next = 1;
  for (const group of table.tHead.querySelectorAll("[scope=colgroup]")) {
    group.dataset.columns ??= group.colSpan;
    const own = [...heads].slice(next, next + Number(group.dataset.columns)).filter(head => !head.hidden);
    next += Number(group.dataset.columns);
    group.hidden = !own.length;
    group.colSpan = own.length || 1;
  }
}

function summary(chosen) {
  const heads = [...document.querySelectorAll(".results th[data-task]")];
  const columns = `${heads.filter(head => !head.hidden).length} of ${heads.length} columns`;
  return chosen.language.length ? `${columns}; questions in ${chosen.language.join(", ")} by question language, below` : columns;
}

// The details of a cell: its row of the tables under "Tests", and the comparisons that its model takes part in.

function addDetails() {
  const dialog = document.getElementById("detail");
  const follow = () => {
    const row = targetRow();
    if (row) { fill(dialog, row); if (!dialog.open) dialog.showModal(); } else if (dialog.open) dialog.close();
  };
  document.addEventListener("click", event => {
    const link = event.target.closest?.(".results td a");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();  // the dialog opens over the table, and the page stays where it is
    history.pushState(null, "", link.hash);
    follow();
  });
  dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => {
    if (targetRow()) history.replaceState(null, "", location.pathname + location.search);
  });
  addEventListener("popstate", follow);
  addEventListener("hashchange", follow);
  follow();
}

function targetRow() {
  let id;
  try { id = decodeURIComponent(location.hash.slice(1)); } catch { return null; }
  const target = document.getElementById(id);
  return target?.matches("#tests tr") ? target : null;
}

function fill(dialog, row) {
  const block = row.closest("details"), key = row.dataset.row;
  dialog.querySelector("h2").replaceChildren(...row.cells[0].cloneNode(true).childNodes);
  dialog.querySelector("p").textContent = block.querySelector("summary").textContent.trim();
  const list = dialog.querySelector("dl");
  list.replaceChildren();
  const heads = row.closest("table").tHead.rows[0].cells;
  for (const cell of [...row.cells].slice(1)) {
    const pair = document.createElement("div");
    pair.append(element("dt", heads[cell.cellIndex].textContent), element("dd", cell.textContent));
    list.append(pair);
  }
  const comparisons = block.querySelector("table.comparisons")?.parentElement.cloneNode(true);
  for (const one of comparisons?.querySelectorAll("tbody tr") ?? []) {
    if (one.dataset.row !== key && one.dataset.against !== key) one.remove();
  }
  const rows = comparisons?.querySelectorAll("tbody tr").length;
  dialog.querySelector(".tests").replaceChildren(rows ? comparisons : element("p", "Not tested."));
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text.trim();
  return made;
}
