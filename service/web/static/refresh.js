// Asks for what has data-refresh="<seconds>" again, while the tab is seen and nobody is at work in it.
"use strict";
let refreshed = performance.now();
setInterval(() => {
  const part = document.querySelector("[data-refresh]");
  if (!part || document.hidden || part.contains(document.activeElement) || part.querySelector("details[open]")) return;
  if (performance.now() - refreshed < part.dataset.refresh * 1000) return;
  refreshed = performance.now();
  htmx.trigger(part, "refresh");
}, 1000);
