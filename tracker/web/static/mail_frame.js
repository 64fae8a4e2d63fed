// The frame that shows a mail is as tall as what is in it.
const frame = document.querySelector("[data-mail-frame]");

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
