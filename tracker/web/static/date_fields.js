// Fields of days and times become lines of text in the form that the page's language has.
const { lang } = document.documentElement, { day, clock } = document.body.dataset;
const hints = { date: day, time: clock, "datetime-local": `${day} ${clock}` };
for (const field of document.querySelectorAll("input:is([type=date], [type=time], [type=datetime-local])")) {
  const { type, value } = field;
  field.type = "text";
  field.placeholder = hints[type];
  field.value = value.replace(/(\d{4})-(\d\d)-(\d\d)T?/, lang === "ru" ? "$3.$2.$1 " : "$1-$2-$3 ").trim();
}
