// Asks for what has data-refresh="<seconds>" again, while the tab is seen and nobody is at work in it.
"use strict";
setInterval(() => {
  const part = document.querySelector("[data-refresh]");
  if (!part || document.hidden || part.contains(document.activeElement) || part.querySelector("details[open]")) return;
  const now = performance.now();
  if (now - (refreshed ?? 0) < part.dataset.refresh * 1000) return;
  refreshed = now;
  htmx.trigger(part, "refresh");
}, 1000);
let refreshed = performance.now();
