// One letter: what is looked at counts as read.
const page = document.querySelector("[data-letter]");
const read = () => fetch(`${page.dataset.letter}/reading`, { method: "POST", body: new URLSearchParams() });
if (document.hidden) document.addEventListener("visibilitychange", read, { once: true });
else read();
