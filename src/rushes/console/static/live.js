// Pages of jobs that go on: progress as it comes, and the changed part read again when a job moves.

const POLL_MS = 5000;
const MOST_READS_A_SECOND = 2;

class LiveJob {
  constructor(place) {
    this.place = place;
    this.isOpen = () => place.querySelector("[data-progress]") !== null;
    if (this.isOpen()) this.listen();
  }

  listen() {
    const source = new EventSource(this.place.dataset.events);
    this.source = source;
    source.addEventListener("open", () => this.say(""));
    source.addEventListener("progress", (event) => this.show(JSON.parse(event.data).percent));
    source.addEventListener("changed", () => this.readSoon());
    source.addEventListener("ended", () => { source.close(); clearTimeout(this.timer); this.read(); });
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) this.poll();
      else this.say("The connection was lost; trying again.");
    });
  }

  show(percent) {
    for (const bar of this.place.querySelectorAll("[data-progress]")) bar.value = percent;
    for (const text of this.place.querySelectorAll("[data-percent]")) text.textContent = percent;
  }

  say(text) {
    const state = this.place.querySelector("[data-stream-state]");
    if (state) state.textContent = text;
  }

  readSoon() {
    this.timer ??= setTimeout(() => { this.timer = undefined; this.read(); }, 1000 / MOST_READS_A_SECOND);
  }

  // Where no stream is to be had: the page is read now and then instead.
  async poll() {
    if (await this.read() && this.isOpen()) setTimeout(() => this.poll(), POLL_MS);
  }

  async read() {
    let answer;
    try {
      answer = await fetch(this.place.dataset.live, { headers: { "X-Requested-With": "fetch" } });
    } catch {
      this.say("The service cannot be reached; trying again.");
      return true;
    }
    if (answer.status === 401) {
      this.source?.close();
      this.say("Your session has ended. Load the page again to sign in.");
      return false;
    }
    if (answer.status === 404) {
      location.reload();
      return false;
    }
    if (!answer.ok) return true;
    // An answer to an earlier question came late: the video is there, and may be playing.
    if (!this.isOpen()) return false;
    const focused = this.place.contains(document.activeElement) ? document.activeElement.textContent.trim() : null;
    this.place.innerHTML = await answer.text();
    if (focused) {
      const same = [...this.place.querySelectorAll("a, button")].find((one) => one.textContent.trim() === focused);
      (same ?? document.getElementById("main"))?.focus({ preventScroll: true });
    }
    this.place.dispatchEvent(new CustomEvent("console:changed", { bubbles: true }));
    return true;
  }
}

for (const place of document.querySelectorAll("[data-live]")) new LiveJob(place);
