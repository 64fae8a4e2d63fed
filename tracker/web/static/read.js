// One mail: what is looked at counts as read, the frame that shows it is as tall as what is in it, and undo counts down.
const page = document.querySelector("[data-reading]");
function read() {
  if (!document.hidden) fetch(page.dataset.reading, { method: "POST", body: new URLSearchParams() });
}
document.addEventListener("visibilitychange", read);
page.addEventListener("inkling:live", read);
read();

const frame = document.querySelector("[data-mail-frame]");
function fit() {
  const inside = frame.contentDocument?.documentElement;
  if (!inside?.querySelector("body")) return;
  frame.style.height = "80px";
  frame.style.height = `${Math.min(Math.max(inside.scrollHeight, 80) + 2, 20_000)}px`;
}
if (frame) {
  let width = 0;
  frame.addEventListener("load", fit);
  new ResizeObserver(() => { if (frame.clientWidth !== width) { width = frame.clientWidth; fit(); } }).observe(frame);
  if (frame.contentDocument?.readyState === "complete") fit();
}

// How many seconds are left to take it back.
const left = document.querySelector("[data-left]");
for (let seconds = left?.dataset.left; seconds >= 0; seconds--)
  setTimeout(() => { left.textContent = seconds || ""; }, (left.dataset.left - seconds) * 1000);
