// On every page: what the pages do already without a script, done with less waiting.

const root = document.querySelector('meta[name="console"]')?.content ?? "/console";

function toast(text) {
  const place = document.querySelector("[data-toast]");
  if (!place) return;
  place.textContent = text;
  place.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { place.hidden = true; }, 2600);
}

// Times in the reader's own zone, and how long ago they were.
const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const absolute = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

function localTimes(within = document) {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (time.dataset.ago === undefined) {
      time.title = time.textContent.trim();
      time.textContent = absolute.format(at);
      time.removeAttribute("datetime");
      continue;
    }
    time.title = absolute.format(at);
    const seconds = (Date.now() - at) / 1000;
    const [unit, size] = units.find(([, size]) => seconds >= size) ?? ["second", 1];
    time.textContent = seconds < 10 ? "just now" : relative.format(-Math.floor(seconds / size), unit);
  }
}

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy], [data-copy-from]");
  if (copy) {
    const text = copy.dataset.copy ?? document.getElementById(copy.dataset.copyFrom)?.textContent ?? "";
    try {
      await navigator.clipboard.writeText(text);
      toast("Copied");
    } catch {
      toast("This browser does not let pages copy");
    }
  }
});

// A form that asks before it acts: a dialog here, a page of its own without scripts.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
  if (!question || form.querySelector('[name="confirmed"]')) return;
  event.preventDefault();
  const dialog = document.createElement("dialog");
  const text = Object.assign(document.createElement("p"), { id: "question", textContent: question });
  const buttons = Object.assign(document.createElement("div"), { className: "buttons" });
  const no = Object.assign(document.createElement("button"), { className: "button", textContent: "Keep" });
  const yes = Object.assign(document.createElement("button"), { className: "button danger", textContent: event.submitter.textContent.trim() });
  buttons.append(no, yes);
  dialog.append(text, buttons);
  dialog.setAttribute("aria-labelledby", "question");
  document.body.append(dialog);
  const submitter = event.submitter;
  no.addEventListener("click", () => dialog.close());
  yes.addEventListener("click", () => {
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name: "confirmed", value: "1" }));
    dialog.close();
    form.requestSubmit(submitter);
  });
  dialog.addEventListener("close", () => { dialog.remove(); submitter.focus(); });
  dialog.showModal();
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-theme-form]")) return;
  event.preventDefault();
  const theme = event.submitter.value;
  document.documentElement.dataset.theme = theme;
  document.cookie = `rushes_theme=${theme}; path=${root}; max-age=31536000; samesite=strict${location.protocol === "https:" ? "; secure" : ""}`;
});

for (const form of document.querySelectorAll("[data-send-now]")) form.requestSubmit();

const menu = document.querySelector(".menu");
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && menu?.open) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// Picking several jobs.
function countPicks(form) {
  const boxes = [...form.querySelectorAll('[name="job"]')];
  const picked = boxes.filter((box) => box.checked).length;
  form.querySelector("[data-pick-count]").textContent = picked ? `${picked} picked` : "";
  form.querySelector("[data-pick-all]").checked = picked > 0 && picked === boxes.length;
  for (const button of form.querySelectorAll('[name="action"]')) button.disabled = picked === 0;
}

function enhance(within) {
  localTimes(within);
  for (const form of within.querySelectorAll("[data-picks]")) {
    countPicks(form);
    form.addEventListener("change", (event) => {
      if (event.target.matches("[data-pick-all]")) {
        for (const box of form.querySelectorAll('[name="job"]')) box.checked = event.target.checked;
      }
      countPicks(form);
    });
  }
}

// A video plays while the pointer rests on its poster.
document.addEventListener("pointerover", (event) => {
  const shot = event.target.closest?.("[data-hover-video]");
  if (!shot || event.pointerType === "touch" || shot.querySelector("video")) return;
  const video = document.createElement("video");
  Object.assign(video, { src: shot.dataset.hoverVideo, muted: true, loop: true, playsInline: true });
  video.play().then(() => { if (shot.matches(":hover")) shot.append(video); }, () => {});
  shot.addEventListener("pointerleave", () => { video.pause(); video.remove(); video.removeAttribute("src"); }, { once: true });
});

// A list with unfinished jobs is read again now and then, unless the reader is picking or pointing.
const list = document.querySelector("[data-live-list]");
async function refreshList() {
  if (!list?.querySelector("[data-unfinished]")) return;
  setTimeout(refreshList, 4000);
  if (document.hidden || list.querySelector('[name="job"]:checked, video') || list.contains(document.activeElement)) return;
  const answer = await fetch(location.href, { headers: { "X-Requested-With": "fetch" } }).catch(() => null);
  if (!answer?.ok || list.querySelector('[name="job"]:checked') || list.contains(document.activeElement)) return;
  list.innerHTML = await answer.text();
  enhance(list);
}
setTimeout(refreshList, 4000);

// What was typed before the session ended outlives the way to the identity provider and back.
const KEPT = "rushes-kept-form";
document.querySelector("[data-keeps-form]")?.addEventListener("click", () => {
  const { keep_action: action, keep } = document.querySelector("form").elements;
  if (action.value) sessionStorage.setItem(KEPT, JSON.stringify([action.value, keep.value]));
  else sessionStorage.removeItem(KEPT);
});
const arrived = document.querySelector("[data-signed-in]");
if (arrived) {
  const kept = JSON.parse(sessionStorage.getItem(KEPT));
  sessionStorage.removeItem(KEPT);
  const { keep_action: action, keep } = arrived.elements;
  if (kept) {
    [action.value, keep.value] = kept;
    arrived.submit();
  } else location.replace(arrived.dataset.signedIn);
}

// A form that came back: its first wrong field is where to go on.
document.querySelector('main [aria-invalid="true"]')?.focus();

// Charts that are wider than a phone begin with their newest day.
for (const chart of document.querySelectorAll("figure.scroll")) chart.scrollLeft = chart.scrollWidth;

document.addEventListener("console:changed", (event) => enhance(event.target));
enhance(document);
