// Parts of the account's pages that take their time: fetched after the page is there, and again while they say that they wait.
// Without scripts a link leads to the same.
for (const place of document.querySelectorAll("[data-load]")) {
  const again = Number(place.dataset.again || 0);
  for (let tries = 0; tries < 15; tries += 1) {
    try {
      const answer = await fetch(`${place.dataset.load}?part=1`, { redirect: "error" });
      if (!answer.ok) break;
      place.innerHTML = await answer.text();
    } catch { break; }
    if (!again || !place.querySelector("[data-waits]")) break;
    await new Promise((done) => setTimeout(done, again * 1000));
  }
}
