// Keeps what has data-live as it is now, by the stream of events. Nobody who reads or works in it loses the place.
// data-live is the stream's query, from where on what is shown lacks something.
"use strict";
const OLD_MS = 15000, AGAIN_MS = 5000, SOON_MS = 300, REST_MS = 2000;
const AWAY = "The service cannot be reached: what is shown may be old. Reconnecting…";
const part = () => document.querySelector("[data-live]");
const told = new Map();  // by partition, the offset of the last event that the stream told of
let source, changes = 0, asked = -REST_MS, waiting, due = Infinity, isAway = false;

const say = (text) => { const line = document.getElementById("live"); if (line) line.textContent = text; };

function isBusy() {
  const at = part();
  const isSteady = "steady" in at.dataset;  // of one execution: nothing shifts
  const works = at.contains(document.activeElement) && document.activeElement.matches("input, textarea, summary, a");
  return works || at.querySelector("details[open].menu, .tree details:not([open])") || String(getSelection())
    || (!isSteady && (scrollY > 200 || at.querySelector("tr.at, [name=executionId]:checked") || new URLSearchParams(location.search).has("cursor")));
}

function lookIn(milliseconds) {
  const at = Math.max(performance.now() + milliseconds, asked + REST_MS);
  if (at >= due) return;
  due = at;
  clearTimeout(waiting);
  waiting = setTimeout(look, at - performance.now());
}

function look() {
  due = Infinity;
  if (!part() || document.hidden) return;
  if (!isBusy()) refresh();
  else if (!source) follow();  // what was missed is told from where it is shown
  else if (changes) offer();
  else lookIn(OLD_MS);
}

function refresh() {
  changes = 0;
  due = Infinity;
  clearTimeout(waiting);
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

function changed(event) {
  const [partition, offset] = JSON.parse(event.data).position.split(":");
  told.set(partition, Number(offset));
  changes += 1;
  lookIn(SOON_MS);
}

function shown() {
  if (!part()) { source?.close(); return; }
  if (!source && !document.hidden) follow();
  const from = new URLSearchParams(part().dataset.live).get("lastEventId");
  if (!from) { lookIn(OLD_MS); return; }  // the read side is far behind: look whether it still is
  const lacks = from.split(",").map((place) => place.split(":")).some(([partition, next]) => told.get(partition) >= next);
  if (lacks) { changes ||= 1; lookIn(SOON_MS); }
}

function leave() {
  source?.close();
  source = undefined;
}

function follow() {
  leave();
  source = new EventSource(`/api/v1/task-executions/events?${part().dataset.live}`);
  for (const type of ["Created", "Ready", "Started", "Progressed", "Succeeded", "Failed", "Stopped", "Skipped"]) {
    source.addEventListener(`TaskExecution${type}`, changed);
  }
  source.addEventListener("error", () => {
    isAway = true;
    say(AWAY);
    if (source?.readyState !== EventSource.CLOSED) return;  // the browser tries again, and goes on after the last event
    leave();
    lookIn(AGAIN_MS);
  });
  source.addEventListener("open", () => { if (isAway) { isAway = false; say(""); lookIn(SOON_MS); } });
}

document.addEventListener("visibilitychange", () => { if (document.hidden) leave(); else lookIn(0); });
document.addEventListener("htmx:afterSettle", shown);
for (const [failure, words] of [["htmx:sendError", AWAY], ["htmx:responseError", "No answer came: what is shown may be old. Asking again…"]]) {
  document.addEventListener(failure, () => { say(words); lookIn(AGAIN_MS); });
}
addEventListener("load", () => { if (part()) shown(); });
