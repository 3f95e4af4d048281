// Acts on those selected, or on all that fit the list: asks which these are, and then sends their ids, some at a time.
// Sent again, nothing is done twice. `selected` and `tell` are of select.js.
"use strict";
const ACTIONS_URL = "/api/v1/task-executions/actions";
const AT_ONCE = 200;
const MOST_TOLD = 100;

async function send(body, key) {
  const headers = { "Content-Type": "application/json", ...(key && { "Idempotency-Key": key }) };
  const answer = await fetch(ACTIONS_URL, { method: "POST", headers, body: JSON.stringify(body) });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.detail);
  return said;
}

async function matching(action, filter) {
  const ids = [];
  let cursor;
  do {
    const found = await send({ action, filter, dryRun: true, ...(cursor && { cursor }) });
    ids.push(...found.executionIds);
    cursor = found.nextCursor;
  } while (cursor);
  return ids;
}

const keyOf = () => [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16).padStart(2, "0")).join("");

function undone(dialog, items) {
  const list = dialog.querySelector("ul");
  for (const { executionId, problem } of items) {
    if (list.children.length === MOST_TOLD) break;
    const line = document.createElement("li");
    line.append(Object.assign(document.createElement("a"), { href: `/executions/${executionId}`, textContent: executionId.slice(0, 8) }), ` ${problem.detail}`);
    list.append(line);
  }
  list.hidden = !list.children.length;
}

async function act(dialog, key, action, ids, reason) {
  const bar = dialog.querySelector("progress");
  const done = { accepted: 0, duplicates: 0, rejected: 0, unanswered: 0 };
  dialog.hasActed = true;
  dialog.querySelector("ul").replaceChildren();
  bar.max = ids.length;
  bar.hidden = false;
  for (let begin = 0; begin < ids.length && dialog.open && dialog.key === key; begin += AT_ONCE) {
    const executionIds = ids.slice(begin, begin + AT_ONCE);
    const answer = await send({ action, executionIds, ...(reason && { reason }) }, key);
    for (const name of Object.keys(done)) done[name] += answer[name];
    for (const item of answer.items) if (!item.problem) selected.delete(item.executionId);
    tell();
    undone(dialog, answer.items.filter((item) => item.problem));
    bar.value = begin + executionIds.length;
  }
  return done;
}

async function begin(action, find, told) {
  const dialog = document.getElementById("bulk");
  const line = dialog.querySelector("p");
  const go = dialog.querySelector("button[value=go]");
  const key = dialog.key = keyOf();  // another one: it was closed, and opened for something else
  dialog.hasActed = false;
  dialog.querySelector("progress").hidden = dialog.querySelector("ul").hidden = true;
  dialog.querySelector("label").hidden = action !== "stop";
  go.disabled = true;
  line.textContent = "Looking for those that fit…";
  dialog.showModal();
  try {
    const ids = await find();
    if (dialog.key !== key) return;
    const count = ids.length.toLocaleString("en");
    line.textContent = told(ids.length, count);
    go.textContent = `${action === "stop" ? "Stop" : "Run again"}: ${count}`;
    go.disabled = !ids.length;
    go.onclick = async (event) => {
      event.preventDefault();  // which would close it
      go.disabled = true;
      try {
        const done = await act(dialog, key, action, ids, dialog.querySelector("input").value);
        if (dialog.key !== key) return;
        line.textContent = Object.entries(done).filter(([, number]) => number).map(([name, number]) => `${number.toLocaleString("en")} ${name}`).join(", ") + ".";
        go.disabled = !done.unanswered;
      } catch (error) {
        if (dialog.key !== key) return;
        line.textContent = `${error.message} What was done stays done; go on, and nothing is done twice.`;
        go.disabled = false;
      }
    };
  } catch (error) {
    if (dialog.key === key) line.textContent = error.message;
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  if (!button) return;
  const { action, filter } = button.dataset;
  begin(action, () => matching(action, JSON.parse(filter)), (number, count) => number
    ? `${count} ${number === 1 ? "fits" : "fit"} and can be ${action === "stop" ? "stopped" : "run again"}.` : "None fits and allows it.");
});
document.addEventListener("submit", (event) => {
  if (event.target.id !== "choice") return;
  event.preventDefault();
  begin(event.submitter.value, async () => [...selected], (_, count) => `${count} selected.`);
});
document.getElementById("bulk")?.addEventListener("close", () => {
  if (document.getElementById("bulk").hasActed) htmx.trigger(document.querySelector("[data-live]"), "refresh");
});
