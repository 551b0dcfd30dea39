"use strict";

// Pages are complete without scripts. This part is of all pages: the theme, and the names of languages.

const THEME = "beir-hybrid-theme";

function storedTheme() {
  try { return localStorage.getItem(THEME); } catch { return null; }  // a browser may forbid it, for files above all
}

if (storedTheme()) document.documentElement.dataset.theme = storedTheme();  // before anything is drawn
document.addEventListener("DOMContentLoaded", addTheme);

function addTheme() {
  const root = document.documentElement, button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const label = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem(THEME, root.dataset.theme); } catch { /* it lasts as long as the page, then */ }
    label();
  });
  system.addEventListener("change", label);
  label();
  button.hidden = false;
}

function languageNames() {
  try {
    const names = new Intl.DisplayNames("en", { type: "language" });
    return code => names.of(code);
  } catch { return code => code; }
}
