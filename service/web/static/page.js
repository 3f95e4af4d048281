// What the pages do beyond links and forms; without it, everything can still be read.
"use strict";
document.documentElement.classList.add("scripted");

const rows = () => [...document.querySelectorAll("tr[data-row]")];
const KEYS = [
  ["/", "search"], ["j", "next row"], ["k", "row before"], ["Enter", "open the row"],
  ["x", "select the row"], ["X", "select all rows from the last one on"], ["n", "next page"],
  ["o e t d r", "overview, executions, tasks, definitions, rejections"], ["?", "these keys"], ["Esc", "close, leave a field"],
];
const PAGES = { o: "/", e: "/executions", t: "/tasks", d: "/definitions", r: "/rejections" };

const isBox = (element) => element.matches("[name=executionId]");

function stand(row) {
  document.querySelector("tr.at")?.classList.remove("at");
  row.classList.add("at");
}

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.classList.contains("at"));
  const next = all[Math.min(Math.max(at + step, 0), all.length - 1)];
  if (isBox(document.activeElement)) document.activeElement.blur();
  stand(next);
  next.scrollIntoView({ block: "nearest" });
}

function help() {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", "Keys");
  const list = document.createElement("dl");
  for (const [key, meaning] of KEYS) {
    const name = document.createElement("dt");
    name.append(Object.assign(document.createElement("kbd"), { textContent: key }));
    list.append(name, Object.assign(document.createElement("dd"), { textContent: meaning }));
  }
  dialog.append(list);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input:not([type=checkbox]), textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  const search = document.querySelector("[data-search]");
  const row = (isBox(event.target) && event.target.closest("tr")) || document.querySelector("tr.at");
  if (event.key === "/" && search) search.focus();
  else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "Enter" && row && !event.target.closest("a, button, summary")) location.assign(`/executions/${row.dataset.row}`);
  else if (event.key.toLowerCase() === "x" && row) row.querySelector("[name=executionId]").dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, shiftKey: event.key === "X" }));
  else if (event.key === "n" && document.querySelector("a[rel=next]")) document.querySelector("a[rel=next]").click();
  else if (event.key === "?") help();
  else if (PAGES[event.key]) location.assign(PAGES[event.key]);
  else return;
  event.preventDefault();
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const said = button.textContent;
  try {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).content.textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "The browser does not allow it";
  }
  setTimeout(() => { button.textContent = said; }, 2000);
});
