// One letter: the frame is as tall as its mail, and what is looked at counts as read.
const page = document.querySelector("[data-letter]");
const frame = page.querySelector("[data-mail-frame]");

function fit() {
  const inside = frame.contentDocument?.documentElement;
  if (!inside?.querySelector("body")) return;
  frame.style.height = "80px";
  frame.style.height = `${Math.min(Math.max(inside.scrollHeight, 80) + 2, 20_000)}px`;
}
if (frame) {
  frame.addEventListener("load", fit);
  new ResizeObserver((() => { let width = 0; return () => { if (frame.clientWidth !== width) { width = frame.clientWidth; fit(); } }; })()).observe(frame);
  if (frame.contentDocument?.readyState === "complete") fit();
}

const read = () => fetch(`${page.dataset.letter}/reading`, { method: "POST", body: new URLSearchParams() });
if (document.hidden) document.addEventListener("visibilitychange", read, { once: true });
else read();
