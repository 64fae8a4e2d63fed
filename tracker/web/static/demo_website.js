// The demo's shop: a click on its address starts a letter to it, as a mail program would.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='mailto:']");
  if (!link) return;
  event.preventDefault();
  const to = document.querySelector("[name=to]");
  to.value = decodeURIComponent(link.getAttribute("href").slice(7));
  document.querySelector("[name=text]").focus();
});
