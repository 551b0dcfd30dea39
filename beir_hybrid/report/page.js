// A report adds tabs for its heat maps, what a cell of them is, and filters and orders of its examples.

document.addEventListener("DOMContentLoaded", () => { nameLanguages(); addTabs(); nameCells(); addFilters(); });

function nameLanguages() {
  const names = languageNames();
  for (const one of document.querySelectorAll("bdi.language")) {
    try { one.title = names(one.dataset.language); } catch { /* it is no tag */ }
  }
}

function addTabs() {
  const tabs = document.querySelector(".tabs");
  if (!tabs) return;
  const show = () => {
    const chosen = tabs.querySelector(":checked")?.value ?? "1";
    for (const panel of document.querySelectorAll(".panel")) panel.hidden = panel.dataset.map !== chosen;
  };
  tabs.addEventListener("change", show);
  tabs.hidden = false;
  document.documentElement.classList.add("tabbed");
  show();  // a browser may have kept the choice of the last visit
}

// What a cell is, said when the pointer is on it: a map of many languages has thousands.
function nameCells() {
  document.addEventListener("pointerover", event => {
    const cell = event.target.closest?.(".heat td");
    if (!cell || cell.title || !cell.closest("tbody")) return;
    const column = cell.closest("table").tHead.rows[0].cells[cell.cellIndex].textContent;
    const question = cell.parentElement.cells[0].textContent;
    cell.title = `questions in ${question}, ${cell.closest(".panel").dataset.columnsAre} ${column}: ${cell.textContent}`;
  });
}

function addFilters() {
  const form = document.getElementById("filters");
  if (!form) return;
  const examples = [...document.querySelectorAll(".example")];
  const update = () => {
    const chosen = Object.fromEntries(["question", "answer", "kind"].map(field => [field, form.elements[field].value]));
    for (const one of examples) one.hidden = !isOf(one.dataset, chosen);
    const shown = examples.filter(one => !one.hidden).length;
    form.querySelector("output").textContent = `${shown} of ${examples.length} examples`;
    form.querySelector("button").hidden = shown === examples.length;
    document.getElementById("nothing").hidden = shown > 0;
    const last = form.parentElement;
    last.append(...[...examples].sort(byOrder(form.elements.order.value, examples)));
  };
  form.addEventListener("change", update);
  form.addEventListener("reset", () => setTimeout(update));  // the fields are reset after the event
  form.addEventListener("submit", event => event.preventDefault());
  form.hidden = false;
  update();  // a browser may have kept the choices of the last visit
}

function isOf(data, chosen) {
  return (!chosen.question || data.question === chosen.question)
    && (!chosen.answer || data.answer === chosen.answer)
    && (!chosen.kind || data.kind.split(" ").includes(chosen.kind));
}

// The order of the page is that of what was lost; all other orders keep it among equals.
function byOrder(order, examples) {
  if (order === "rank") {
    const rank = one => one.dataset.rank === "" ? Infinity : Number(one.dataset.rank);
    return (a, b) => rank(a) === rank(b) ? 0 : rank(b) > rank(a) ? 1 : -1;
  }
  if (order === "lost") return (a, b) => examples.indexOf(a) - examples.indexOf(b);
  return (a, b) => a.dataset[order].localeCompare(b.dataset[order], "en");
}
