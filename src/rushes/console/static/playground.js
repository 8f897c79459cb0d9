// The playground's form: its price and code as one types, options that follow the model, files by drop or paste.

const form = document.querySelector("[data-playground]");
const csrf = document.querySelector('meta[name="csrf"]').content;
const parts = Object.fromEntries([...form.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]));
const say = (text) => { form.querySelector("[data-form-state]").textContent = text; };
const QUIET_MS = 250;
let timer, asking, chosenTab = "curl", uploading = 0;

async function preview(withOptions) {
  asking?.abort();
  asking = new AbortController();
  const fields = new URLSearchParams(new FormData(form));
  let answer;
  try {
    answer = await fetch(form.dataset.preview, { method: "POST", body: fields, signal: asking.signal, headers: { "X-Requested-With": "fetch" } });
  } catch (error) {
    if (error.name !== "AbortError") say("The service cannot be reached, so the price may be out of date.");
    return;
  }
  if (answer.status === 401) return say("Your session has ended. What you typed is kept when you generate and sign in again.");
  const content = await answer.json();
  if (!answer.ok) return say(content.error);
  say("");
  for (const [name, part] of Object.entries(parts)) {
    if (name === "options" && !withOptions) continue;
    part.innerHTML = content[name];
  }
  showTab(chosenTab);
  if (withOptions) restoreThumbs();
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(preview, QUIET_MS);
}

form.addEventListener("input", (event) => { if (event.target.type !== "file") soon(); });
form.addEventListener("change", (event) => {
  if (event.target.matches("[data-model]")) { clearTimeout(timer); preview(true); }
});

form.addEventListener("submit", (event) => {
  if (!form.elements.prompt.value.trim()) {
    event.preventDefault();
    say("Say first what the video shows.");
    form.elements.prompt.focus();
  } else if (uploading) {
    event.preventDefault();
    say("A file is still on its way.");
  } else {
    // Only after the form is on its way, so that its values go too.
    setTimeout(() => { form.querySelector("[data-generate]").setAttribute("aria-disabled", "true"); say("Starting …"); });
  }
});
window.addEventListener("pageshow", () => form.querySelector("[data-generate]").removeAttribute("aria-disabled"));

// Tabs, with the arrow keys as the ARIA pattern has it.
function showTab(id) {
  chosenTab = id;
  for (const tab of form.querySelectorAll('[role="tab"]')) {
    const chosen = tab.id === `tab-${id}`;
    tab.setAttribute("aria-selected", chosen);
    tab.tabIndex = chosen ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
}
form.addEventListener("click", (event) => {
  const tab = event.target.closest('[role="tab"]');
  if (tab) showTab(tab.id.slice(4));
  const remove = event.target.closest("[data-remove]");
  if (remove) {
    const drop = remove.closest("[data-drop]");
    remove.closest(".thumb").remove();
    drop.querySelector("[data-file]").focus();
    soon();
  }
});
form.addEventListener("keydown", (event) => {
  if (!event.target.matches('[role="tab"]')) return;
  const tabs = [...form.querySelectorAll('[role="tab"]')];
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
  showTab(next.id.slice(4));
  next.focus();
});

// Files. Each becomes a reference; the file itself is never part of the form.
const thumbs = new Map();

function shown(file, name, value) {
  const thumb = document.createElement("div");
  thumb.className = "thumb";
  const shot = Object.assign(document.createElement("div"), { className: "shot" });
  const kind = { image: "img", video: "video", audio: "audio" }[file.type.split("/")[0]];
  if (kind) {
    const picture = document.createElement(kind);
    picture.src = URL.createObjectURL(file);
    if (kind === "img") picture.alt = "";
    if (kind === "video") picture.muted = true;
    if (kind === "audio") picture.controls = true;
    shot.append(picture);
  }
  const label = Object.assign(document.createElement("span"), { className: "name", textContent: file.name, title: file.name });
  const remove = Object.assign(document.createElement("button"), { type: "button", className: "button small", textContent: "Remove" });
  remove.dataset.remove = "";
  remove.setAttribute("aria-label", `Remove ${file.name}`);
  const input = Object.assign(document.createElement("input"), { type: "hidden", name, value });
  thumb.append(input, shot, label, remove);
  return thumb;
}

// The options were replaced: files that the new model takes too are shown again with their pictures.
function restoreThumbs() {
  for (const plain of form.querySelectorAll(".thumb")) {
    const known = thumbs.get(plain.querySelector("input").value);
    if (known) plain.replaceWith(shown(known, plain.querySelector("input").name, plain.querySelector("input").value));
  }
}

function trouble(drop, text) {
  const line = Object.assign(document.createElement("p"), { className: "field-error", textContent: text });
  drop.querySelector("[data-drop-state]").append(line);
}

function send(file, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", form.dataset.uploads);
    request.setRequestHeader("X-CSRF-Token", csrf);
    request.setRequestHeader("X-Requested-With", "fetch");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => onProgress(event.loaded / event.total));
    request.addEventListener("load", () => request.status === 200 ? resolve(request.response)
      : reject(new Error(request.response?.error ?? `The service answered ${request.status}.`)));
    request.addEventListener("error", () => reject(new Error("The connection was lost, or the file was refused on its way.")));
    request.send(file);
  });
}

async function take(drop, files) {
  const state = drop.querySelector("[data-drop-state]");
  state.textContent = "";
  const most = Number(drop.dataset.most);
  for (const file of files) {
    const has = drop.querySelectorAll(".thumb").length;
    if (has >= most) {
      if (most > 1) { trouble(drop, `This model takes ${most} at most; ${file.name} was left out.`); continue; }
      drop.querySelector(".thumb").remove();
    }
    const line = document.createElement("div");
    const name = Object.assign(document.createElement("p"), { className: "small", textContent: `Sending ${file.name}` });
    const bar = Object.assign(document.createElement("progress"), { max: 1, value: 0 });
    bar.setAttribute("aria-label", `Sending ${file.name}`);
    line.append(name, bar);
    state.append(line);
    uploading += 1;
    try {
      const stored = await send(file, (part) => {
        bar.value = part;
        if (part === 1) name.textContent = `Looking into ${file.name}`;
      });
      thumbs.set(stored.reference, file);
      drop.querySelector("[data-thumbs]").append(shown(file, drop.dataset.drop, stored.reference));
      soon();
    } catch (error) {
      trouble(drop, `${file.name}: ${error.message}`);
    } finally {
      uploading -= 1;
      line.remove();
    }
  }
}

const suits = (drop, file) => drop.dataset.kinds.split(",").some((kind) => kind === "*/*" || file.type.startsWith(kind.replace("*", "")));

form.addEventListener("change", (event) => {
  if (!event.target.matches("[data-file]")) return;
  const files = [...event.target.files];
  event.target.value = "";
  take(event.target.closest("[data-drop]"), files);
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  form.addEventListener(kind, (event) => {
    const drop = event.target.closest?.("[data-drop]");
    // A file that misses its place must not replace the page.
    if (kind !== "dragleave" && event.dataTransfer?.types.includes("Files")) event.preventDefault();
    if (!drop) return;
    drop.querySelector(".drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") take(drop, [...event.dataTransfer.files]);
  });
}
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (!files.length) return;
  const drops = [...form.querySelectorAll("[data-drop]")];
  const near = event.target.closest?.("[data-drop]");
  const drop = near ?? drops.find((one) => suits(one, files[0]));
  if (!drop) return say("This model takes no such file.");
  event.preventDefault();
  take(drop, files);
});
