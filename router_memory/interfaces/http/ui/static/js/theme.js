// Loaded before the page is drawn, so that a chosen theme does not flash; a plain script for that reason.
"use strict";
try {
  const chosen = localStorage.getItem("router-memory.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // no storage: the system's colours
}
