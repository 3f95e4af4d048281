// Which rows are selected: by their ids, so that they stay it when rows change, move, or leave the page.
// `stand` is of page.js.
"use strict";
const selected = new Set();
let last;  // where a range begins

const boxes = () => [...document.querySelectorAll("[name=executionId]")];

function tell() {
  const all = boxes();
  for (const box of all) box.checked = selected.has(box.value);
  const shown = all.filter((box) => box.checked).length;
  const line = document.getElementById("selected");
  if (!line) return;
  const away = selected.size - shown;
  line.textContent = selected.size ? `${selected.size.toLocaleString("en")} selected${away ? `, ${away.toLocaleString("en")} of them not on this page now` : ""}` : "";
  line.parentElement.classList.toggle("some", selected.size > 0);
  const whole = document.querySelector("[data-all]");
  whole.checked = shown === all.length;
  whole.indeterminate = shown > 0 && shown < all.length;
}

function select(chosen, isOn) {
  for (const box of chosen) selected[isOn ? "add" : "delete"](box.value);
  tell();
}

document.addEventListener("click", (event) => {
  const box = event.target.closest("[name=executionId], [data-all], [data-none]");
  if (!box) return;
  if ("none" in box.dataset) { selected.clear(); tell(); return; }
  if ("all" in box.dataset) { select(boxes(), box.checked); return; }
  const all = boxes();
  const [from, to] = [all.findIndex((one) => one.value === last), all.indexOf(box)].sort((a, b) => a - b);
  select(event.shiftKey && from >= 0 ? all.slice(from, to + 1) : [box], box.checked);
  last = box.value;
  stand(box.closest("tr"));
});
document.addEventListener("htmx:afterSwap", tell);
