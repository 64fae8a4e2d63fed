// Connecting: how to make an app password is told of the service that is chosen, or that the address belongs to.
const form = document.querySelector(".connect-form"), { address, preset } = form.elements;
const helps = [...form.querySelectorAll("[data-domains]")], services = [...preset.options].map(one => one.value).slice(1);

function show() {
  const domain = address.value.trim().toLowerCase().split("@").pop();
  helps.forEach((help, number) => {
    const isOurs = preset.value === "auto" ? help.dataset.domains.split(" ").includes(domain) : services[number] === preset.value;
    help.classList.toggle("chosen", isOurs);
  });
}
form.addEventListener("input", show);
show();
