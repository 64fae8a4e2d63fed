// Ctrl+K: go somewhere, do something, find somebody, by typing. Pages of ours come from the frame, the rest from the search.
import { make } from "./make.js";

const palette = document.querySelector("[data-palette]");
const field = palette.querySelector("input"), list = palette.querySelector("ul");
const places = [...document.querySelectorAll(".side li a, .top .compose")].map((link) => ({
  href: link.href, text: link.getAttribute("aria-label") || link.textContent.trim(),
}));
let asked = "";

const links = () => [...list.querySelectorAll("a")];
function choose(link) {
  links().forEach((one) => one.toggleAttribute("aria-current", one === link));
  link?.scrollIntoView({ block: "nearest" });
}
const chosen = () => list.querySelector("a[aria-current]");

export async function fill() {
  const typed = asked = field.value.trim();
  const fits = ({ text }) => text.toLowerCase().includes(typed.toLowerCase());
  list.replaceChildren(...places.filter(fits).map(({ href, text }) => {
    const line = make("li");
    line.append(make("a", { href, textContent: text }));
    return line;
  }));
  choose(links()[0]);
  if (typed.length < 2) return;
  const answer = await fetch(`/search?part=lines&q=${encodeURIComponent(typed)}`).catch(() => null);
  if (!answer?.ok || asked !== typed) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  list.append(...page.querySelectorAll(links().length ? "li:has(a)" : "li"));
  if (!chosen()) choose(links()[0]);
}

field.addEventListener("input", fill);
palette.addEventListener("keydown", (event) => {
  const all = links(), at = all.indexOf(chosen()), step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && all.length) choose(all[(at + step + all.length) % all.length]);
  else if (event.key === "Enter" && chosen()) chosen().click();
  else return;
  event.preventDefault();
});
palette.addEventListener("click", (event) => { if (event.target === palette) palette.close(); });
