// Keeps what has data-live as it is now, by the stream of events. Nobody who reads or works in it loses the place.
"use strict";
const part = () => document.querySelector("[data-live]");
let source, changes = 0, asked = 0, waiting;

const say = (text) => { const line = document.getElementById("live"); if (line) line.textContent = text; };

function isBusy() {
  const at = part();
  const isSteady = "steady" in at.dataset;  // of one execution: nothing shifts
  const works = at.contains(document.activeElement) && document.activeElement.matches("input, textarea, summary, a");
  return works || at.querySelector("details[open].menu, .tree details:not([open])") || String(getSelection())
    || (!isSteady && (scrollY > 200 || at.querySelector("tr.at, [name=executionId]:checked") || new URLSearchParams(location.search).has("cursor")));
}

function refresh() {
  changes = 0;
  asked = performance.now();
  htmx.trigger(part(), "refresh");
}

function offer() {
  const line = document.getElementById("live");
  const button = Object.assign(document.createElement("button"), {
    type: "button", className: "pill", textContent: `${changes} ${changes === 1 ? "change" : "changes"}: show`,
  });
  button.addEventListener("click", refresh);
  line?.replaceChildren(button);
}

function look() {
  waiting = undefined;
  if (!part() || !changes || document.hidden) return;
  if (isBusy()) offer(); else refresh();
}

function changed() {
  changes += 1;
  waiting ??= setTimeout(look, Math.max(300, asked + 2000 - performance.now()));
}

function follow() {
  source?.close();
  source = undefined;
  if (!part() || document.hidden) return;
  source = new EventSource(`/api/v1/task-executions/events?${part().dataset.live}`);
  let wasAway = false;
  for (const type of ["Created", "Ready", "Started", "Progressed", "Succeeded", "Failed", "Stopped", "Skipped"]) {
    source.addEventListener(`TaskExecution${type}`, changed);
  }
  source.addEventListener("error", () => {
    wasAway = true;
    say("The service cannot be reached: what is shown may be old. Reconnecting…");
    if (source?.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
  });
  source.addEventListener("open", () => { if (wasAway) { say(""); wasAway = false; changed(); } });
}

document.addEventListener("visibilitychange", follow);
document.addEventListener("htmx:afterSettle", () => { if (!part()) source?.close(); });
follow();
