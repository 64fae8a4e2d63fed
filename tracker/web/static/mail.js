// A list: older rows come by themselves when the end comes near. What happens comes by live.js; keys are in mail_keys.js.
import { make } from "./make.js";

const list = document.querySelector("[data-list]");

const near = new IntersectionObserver(async ([entry]) => {
  const more = list.querySelector("[data-more]");
  if (!entry.isIntersecting || !more || more.ariaBusy) return;
  more.ariaBusy = "true";
  try {
    const url = new URL(more.querySelector("a").href);
    url.searchParams.set("part", "more");
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(answer.status);
    const html = await answer.text();
    const focused = more.contains(document.activeElement);
    const last = more.previousElementSibling;
    more.insertAdjacentHTML("beforebegin", html);
    more.remove();
    list.dataset.isLonger = "";
    if (focused) last.nextElementSibling?.querySelector("a")?.focus();
    watch();
  } catch { more.ariaBusy = null; }
}, { rootMargin: "600px" });

function watch() {
  near.disconnect();
  const more = list.querySelector("[data-more]");
  if (more) near.observe(more);
}
watch();
list.addEventListener("inkling:live", watch);

// The filter of the mail says how many each state would show, from when it is opened first.
document.querySelector("[data-filter][data-counts]")?.addEventListener("toggle", async ({ target }) => {
  const url = new URL(location.href);
  url.searchParams.set("part", "counts");
  const answer = await fetch(url).catch(() => null);
  if (!answer?.ok) return;
  for (const [state, count] of Object.entries(await answer.json())) {
    const text = count > 99 ? "99+" : count;
    target.querySelector(`[value="${state}"]`)?.parentElement.append(make("small", { textContent: text }));
  }
}, { once: true });
