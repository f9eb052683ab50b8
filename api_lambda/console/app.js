"use strict";
// The console. What the API says goes into the page as text only: never as markup, and in links
// encoded. The page's policy forbids anything else.
(() => {
const WRITES = document.documentElement.dataset.mode === "write";
const STATES = ["queued", "scheduled", "running", "retrying", "succeeded", "dead", "cancelled"];
const TONES = {succeeded: "good", dead: "bad", retrying: "warn", running: "good", closed: "good", open: "bad", half_open: "warn"};
const FINAL = ["succeeded", "dead", "cancelled"];
const PLOT_MS = 10 * 60_000;
const RATE_MS = 60_000;
const LATEST = 100;
// Wider than the rule for logs: what is hidden here by mistake is one click away.
const SECRET = /pass|pwd|secret|token|api.?key|access.?key|private|credential|auth(?!or)|cookie|session|signature|\bpin\b|cvv|cvc|card|iban|ssn/i;

const $ = (id) => document.getElementById(id);

/** An element; children that are no elements become text. */
function make(tag, attributes, ...children) {
  const made = tag === "svg" || make.drawn.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === false || value == null) continue;
    if (typeof value === "function") made.addEventListener(name, value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(9).filter((each) => each != null && each !== false));
  return made;
}
make.drawn = new Set(["path", "line", "rect"]);

/** Show these in place of what is there; whoever was at a link or button stays at it. */
function put(where, ...nodes) {
  const named = (each) => each.dataset?.key ?? each.getAttribute?.("href");
  const at = where.contains(document.activeElement) ? named(document.activeElement) : null;
  const open = new Set([...where.querySelectorAll("details[open]")].map(named));
  where.replaceChildren(...nodes.flat(9).filter(Boolean));
  for (const each of where.querySelectorAll("details")) each.open = open.has(named(each));
  if (at) [...where.querySelectorAll("a, button, summary, [tabindex]")].find((each) => named(each) === at)?.focus({preventScroll: true});
}

// ---------------------------------------------------------------- the API

class Failed extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

let token = "";

async function api(path, body) {
  const headers = {accept: "application/json"};
  if (token) headers.authorization = `Bearer ${token}`;
  const options = {headers, cache: "no-store", redirect: "error", signal: AbortSignal.timeout(35_000)};
  if (body !== undefined) {
    headers["content-type"] = "application/json";
    Object.assign(options, {method: "POST", body: JSON.stringify(body)});
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Failed(0, "The API cannot be reached.");
  }
  const said = await response.json().catch(() => null);
  if (response.ok && said !== null) return said;
  const why = [said?.title ?? said?.message, said?.detail, ...(said?.errors ?? []).map((each) => `${each.field} ${each.message}`)];
  throw new Failed(response.status, `${response.status} ${why.filter(Boolean).join(": ") || "no answer in JSON"}`);
}

const query = (given) => {
  const made = new URLSearchParams(Object.entries(given).filter(([, value]) => value)).toString();
  return made && `?${made}`;
};

// ---------------------------------------------------------------- words

const number = (value) => value.toLocaleString("en", {maximumFractionDigits: value < 10 ? 2 : value < 100 ? 1 : 0});

function span(seconds) {
  if (seconds == null) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${number(seconds)} s`;
  for (const [size, name] of [[86400, "d"], [3600, "h"], [60, "min"]]) if (seconds >= size) return `${number(seconds / size)} ${name}`;
}

function moment(text) {
  if (!text) return "–";
  const at = new Date(text);
  const day = at.toDateString() === new Date().toDateString() ? "" : `${at.toLocaleDateString("sv")} `;
  return make("time", {datetime: text, title: text}, day + at.toLocaleTimeString("sv"));
}

const mark = (text) => make("span", {class: `mark ${TONES[text] ?? ""}`}, text);
const linkTo = (id) => make("a", {href: `#/tasks/${encodeURIComponent(id)}`}, id);

function table(name, heads, rows, none) {
  if (!rows.length) return make("p", {class: "dim"}, none);
  const body = rows.map((row) => make("tr", {}, row.map((each) => (each?.tagName === "TD" ? each : make("td", {}, each ?? "–")))));
  return make("div", {class: "wide", tabindex: "0", role: "region", "aria-label": name, "data-key": name},
    make("table", {}, make("thead", {}, make("tr", {}, heads.map((each) => make("th", {scope: "col"}, each)))), make("tbody", {}, body)));
}

// ---------------------------------------------------------------- overview

const seen = []; // {at, rate, oldest, median}

/** Succeeded in a second, of the latest: the minute before `now`, or less if the page ends there. */
function rateOf(page, now) {
  const ends = page.tasks.map((each) => Date.parse(each.finished_at)).filter((at) => now - at < RATE_MS);
  if (ends.length < page.tasks.length || !page.cursor) return ends.length / (RATE_MS / 1000);
  return ends.length ? ends.length / Math.max(1, (now - Math.min(...ends)) / 1000) : null;
}

function medianOf(page, now) {
  const all = page.tasks.filter((each) => !each.attempts && now - Date.parse(each.finished_at) < RATE_MS);
  const took = all.map((each) => (Date.parse(each.finished_at) - Date.parse(each.created_at)) / 1000).sort((a, b) => a - b);
  return took.length ? took[Math.floor(took.length / 2)] : null;
}

function plot(title, key, say) {
  const now = Date.now();
  const points = seen.filter((each) => now - each.at < PLOT_MS);
  const top = Math.max(...points.map((each) => each[key] ?? 0), 1e-9);
  let path = "";
  let before = 0;
  for (const {at, [key]: value} of points) {
    if (value == null) { before = 0; continue; }
    // What was not looked at is a gap, not a line.
    const joined = before && at - before < 3.5 * Math.max(every(), 5) * 1000;
    path += `${joined ? "L" : "M"}${(600 - (now - at) / PLOT_MS * 600).toFixed(1)} ${(96 - value / top * 92).toFixed(1)}${joined ? "" : "h.1"}`;
    before = at;
  }
  const last = points.at(-1)?.[key];
  const said = last == null ? "–" : say(last);
  return make("figure", {},
    make("figcaption", {}, title, make("b", {}, said)),
    make("svg", {viewBox: "0 0 600 100", preserveAspectRatio: "none", role: "img", "aria-label": `${title}: ${said} now, at most ${top > 1e-9 ? say(top) : say(0)} in ten minutes`},
      make("line", {x1: 0, x2: 600, y1: 98, y2: 98}), make("path", {d: path || "M0 0"})),
    make("div", {class: "axis", "aria-hidden": "true"}, make("span", {}, "10 min ago"), make("span", {}, `top: ${top > 1e-9 ? say(top) : say(0)}`), make("span", {}, "now")));
}

const overview = {
  title: "Overview",
  async load() {
    const [stats, page] = await Promise.all([api("stats"), api(`tasks?state=succeeded&limit=${LATEST}`)]);
    const now = Date.parse(stats.at);
    seen.push({at: Date.now(), oldest: stats.oldest_age_seconds ?? 0, rate: rateOf(page, now), median: medianOf(page, now)});
    while (seen.length && Date.now() - seen[0].at > PLOT_MS) seen.shift();
    return stats;
  },
  render(stats) {
    const least = stats.exact ? "" : "≥ ";
    const queues = [...stats.queues, ...(stats.dead_letter_queue ? [stats.dead_letter_queue] : [])];
    return [
      make("div", {class: "plots"},
        plot("Succeeded a second, over a minute", "rate", (value) => number(value)),
        plot("Longest wait of a task that is due", "oldest", span),
        plot("Submission to success, median of a minute", "median", span)),
      make("h2", {}, "Tasks by state"),
      make("ul", {class: "tiles"}, STATES.map((state) => make("li", {},
        make("a", {href: `#/tasks?state=${state}`}, mark(state), make("b", {}, least + number(stats.counts[state] ?? 0)))))),
      stats.exact ? null : make("p", {class: "dim"}, "There are more tasks than are counted one by one: each number is a lower bound."),
      make("h2", {}, "Queues"),
      table("Queues", ["Queue", "Visible", "In flight", "Delayed"], queues.map((each) => [each.name, number(each.visible), number(each.in_flight), number(each.delayed)]), "None."),
      make("h2", {}, "Breakers"),
      table("Breakers", ["Breaker", "Position", "Openings", "As daemons see it"], stats.breakers.map((each) => [each.name, mark(each.position), each.openings, Object.entries(each.daemons).filter(([, count]) => count).map(([position, count]) => `${count} ${position}`).join(", ")]), "No daemon reports a breaker."),
      make("h2", {}, "Daemons"),
      table("Daemons", ["Daemon", "Is", "Handlers running", "Heard", "Queue", "Version"], stats.daemons.map((each) => [
        each.name,
        each.stale ? make("span", {class: "mark bad"}, "stale") : each.draining ? make("span", {class: "mark warn"}, "draining") : make("span", {class: "mark good"}, "live"),
        `${each.in_flight} of ${each.concurrency}`, `${span(each.age_seconds)} ago`, each.queue, each.version]), "No daemon has reported within the last hour."),
    ];
  },
};

// ---------------------------------------------------------------- lists

function listed(asked) {
  const {cursor, ...filters} = asked;
  const field = (name, of) => make("label", {}, of, make("input", {name, value: filters[name], autocomplete: "off", spellcheck: "false"}));
  const form = make("form", {class: "filters", submit: (event) => {
    event.preventDefault();
    location.hash = `#/tasks${query(Object.fromEntries(new FormData(form)))}`;
  }},
  make("label", {}, "State", make("select", {name: "state"}, make("option", {value: ""}, "any"), STATES.map((state) => make("option", {selected: state === filters.state}, state)))),
  field("type", "Type"), field("tenant", "Tenant"), make("button", {}, "Show"));
  return {
    title: "Tasks",
    above: form,
    load: () => api(`tasks${query({...filters, limit: 50, cursor})}`),
    render: (page) => [
      table("Tasks", ["Task", "Type", "State", "Failed", "Last written", "Last error"], page.tasks.map((each) => [
        linkTo(each.id), each.type, mark(each.state), each.attempts, moment(each.updated_at),
        make("td", {class: "text"}, each.last_error ? `${each.last_error.class || each.last_error.type} ${each.last_error.message}`.slice(0, 200) : "–")]),
      page.cursor ? "None on this page; there are more." : "No such task."),
      make("p", {class: "buttons"},
        cursor && make("a", {href: `#/tasks${query(filters)}`}, "Newest"),
        page.cursor && make("a", {href: `#/tasks${query({...filters, cursor: page.cursor})}`}, "Older tasks")),
    ],
  };
}

// ---------------------------------------------------------------- one task

function masked(value, name = "") {
  if (SECRET.test(name) && value !== null && value !== "") return "[hidden]";
  if (Array.isArray(value)) return value.map((each) => masked(each));
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, masked(each, key)]));
  return value;
}

function document_(name, value, bare) {
  if (value == null) return make("p", {class: "dim"}, `${name}: none`);
  const hidden = masked(value);
  const some = JSON.stringify(hidden) !== JSON.stringify(value);
  return make("details", {class: "card", "data-key": name}, make("summary", {}, name),
    make("pre", {tabindex: "0"}, JSON.stringify(bare.has(name) ? value : hidden, null, 2)),
    some && make("button", {type: "button", "data-key": `${name} hidden`, click: () => {
      if (!bare.delete(name)) bare.add(name);
      again();
    }}, bare.has(name) ? "Hide again" : "Show hidden values"));
}

function timeline(task) {
  const began = Date.parse(task.created_at);
  const after = (text) => (text ? ` (+${span(Math.max(0, Date.parse(text) - began) / 1000)})` : "");
  const entry = (...parts) => make("li", {}, parts);
  return make("ol", {class: "timeline"},
    entry("submitted ", moment(task.created_at)),
    task.history.length && task.history[0].claim_no > 1 && entry(make("span", {class: "dim"}, `${task.history[0].claim_no - 1} earlier claims are no longer kept`)),
    task.history.map((each) => entry(`claim ${each.claim_no} `, make("b", {}, each.outcome), each.class && ` ${each.class}`,
      " · ", moment(each.at), after(each.at), each.ms ? ` · ran ${span(each.ms / 1000)}` : "", make("span", {class: "dim"}, ` · ${each.by}`))),
    task.state === "running" && entry("claim ", task.claim_no, " ", make("b", {}, "running"), " · its lease ends ", moment(task.free_at)),
    task.state === "retrying" && entry(make("b", {}, "next try"), " ", moment(task.free_at)),
    task.finished_at && entry(make("b", {}, task.state), " ", moment(task.finished_at), after(task.finished_at)));
}

function actions(task) {
  if (!WRITES) return null;
  const act = (name, text, done, path, body) => make("button", {type: "button", "data-key": name, click: async () => {
    if (!(await confirmed(`${name} this task?`, text, name))) return;
    try {
      await api(`tasks/${encodeURIComponent(task.id)}/${path}`, body);
      say(done);
    } catch (error) {
      complain(error);
    }
    refresh();
  }}, name);
  if (task.state === "dead") return make("p", {class: "buttons"}, act("Redrive", `${task.id} is queued again, with all its attempts.`, "Redriven: it is queued again.", "redrive", {claim_no: task.claim_no}));
  if (FINAL.includes(task.state)) return null;
  return make("p", {class: "buttons"}, act("Cancel", `${task.id} (${task.type}): a task that waits ends at once, one that runs at its next beat.`, "Cancelled, or as soon as its handler hears of it.", "cancel", {}));
}

function shown(id) {
  const bare = new Set();
  return {
    title: `Task ${id}`,
    load: () => api(`tasks/${encodeURIComponent(id)}`),
    render(task) {
      const facts = {State: mark(task.state), Type: task.type, Queue: task.queue, Tenant: task.tenant, "Failed attempts": task.attempts, Crashes: task.crashes, Releases: task.releases, Claims: task.claim_no, "Correlation id": task.correlation_id, "Last written": moment(task.updated_at), "Why dead": task.cause};
      const error = task.last_error;
      return [
        make("dl", {class: "card"}, Object.entries(facts).filter(([, value]) => value != null).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))),
        actions(task),
        error && [make("h2", {}, "Last error"), make("div", {class: "card"}, make("b", {}, error.class || error.type), ` (${error.type}, fingerprint ${error.fingerprint})`, make("pre", {tabindex: "0"}, error.message))],
        make("h2", {}, "What happened"), timeline(task),
        make("h2", {}, "What it carries"), document_("Payload", task.payload, bare), document_("Result", task.result, bare), document_("Progress", task.progress, bare),
      ];
    },
  };
}

// ---------------------------------------------------------------- dead letters

function spark(hours, since, until) {
  const from = Date.parse(since);
  const wide = Date.parse(until) - from;
  const bars = new Array(Math.max(1, Math.min(48, Math.ceil(wide / 3_600_000)))).fill(0);
  for (const {at, count} of hours) bars[Math.max(0, Math.min(bars.length - 1, Math.floor((Date.parse(at) - from) / wide * bars.length)))] += count;
  const top = Math.max(...bars, 1);
  const step = 600 / bars.length;
  return make("svg", {class: "spark", viewBox: "0 0 600 40", preserveAspectRatio: "none", role: "img", "aria-label": `Deaths over the window, at most ${top} in a bar`},
    make("line", {x1: 0, x2: 600, y1: 39.5, y2: 39.5}),
    bars.map((count, n) => count > 0 && make("rect", {x: (n * step).toFixed(1), width: (step * .85).toFixed(1), y: (39 - count / top * 38).toFixed(1), height: (count / top * 38).toFixed(1)})));
}

function dead(asked) {
  const window_ = asked.window || "24h";
  const choice = make("select", {change: () => { location.hash = `#/dead?window=${choice.value}`; }}, ["1h", "24h", "7d", "30d"].map((each) => make("option", {selected: each === window_}, each)));
  const drawn = (found) => (each) => make("article", {},
    make("h2", {}, each.type, " · ", each.class || each.kind),
    make("p", {class: "dim"}, `${number(each.count)} (${Math.round(each.share * 100)} %) · ${Object.entries(each.causes).map(([cause, count]) => `${cause} ${count}`).join(", ")} · fingerprint ${each.fingerprint}`),
    make("pre", {tabindex: "0"}, each.message),
    spark(each.hours, found.covered_since ?? found.since, found.until),
    make("p", {class: "dim"}, "first ", moment(each.first_seen), ", last ", moment(each.last_seen), `, ${each.trend.last_hour} in the last hour`),
    make("p", {}, "Latest: ", each.samples.map((id, n) => [n > 0 && ", ", linkTo(id)])),
    WRITES && make("p", {class: "buttons"}, make("button", {type: "button", "data-key": `redrive ${each.type} ${each.fingerprint}`, click: () => redrive.open(each)}, "Redrive …")));
  return {
    title: "Dead letters",
    above: make("form", {class: "filters", submit: (event) => event.preventDefault()}, make("label", {}, "Died in the last", choice)),
    load: () => api(`dead-letters${query({window: window_})}`),
    render: (found) => [
      make("p", {}, `${number(found.total)} died, ${found.trend.last_hour} of them in the last hour.`),
      found.truncated && make("p", {class: "stale"}, "There are more than are read: this is about the time since ", moment(found.covered_since), "."),
      found.groups.map(drawn(found)),
      found.more_groups > 0 && make("p", {class: "dim"}, `${found.more_groups} smaller groups are not shown.`),
    ],
  };
}

const redrive = {
  open(group) {
    Object.assign(this, {group, before: null, running: false, stopped: false});
    $("redrive-what").textContent = `${group.type} · ${group.class || group.kind} · fingerprint ${group.fingerprint}, of any age`;
    this.tell("Count first: nothing is changed by it.", 0, 1);
    this.ready(0);
    $("redrive").showModal();
  },
  tell(text, done, all) {
    $("redrive-said").textContent = text;
    $("redrive-progress").max = Math.max(1, all);
    $("redrive-progress").value = done;
  },
  ready(matched) {
    this.matched = matched;
    $("redrive-go").disabled = this.running || !matched;
    $("redrive-go").textContent = matched ? `Redrive ${number(matched)}` : "Redrive";
    $("redrive-count").disabled = $("redrive-limit").disabled = $("redrive-rate").disabled = this.running;
    $("redrive-stop").hidden = !this.running;
  },
  /** Go through all pages of one redrive; each request is short, so that progress is seen. */
  async run(dry) {
    const all = this.matched;
    const sum = {matched: 0, redriven: 0, failed: 0};
    Object.assign(this, {running: true, stopped: false});
    if (dry) this.before = null;
    this.ready(0);
    try {
      await this.pages(dry, all, sum);
      this.running = false;
      if (dry) this.tell(this.stopped ? "Stopped: not all were counted." : `${number(sum.matched)} dead tasks fit.`, 0, 1);
      else this.tell(`${this.stopped ? "Stopped" : "Done"}: ${number(sum.redriven)} redriven${sum.failed ? `, ${sum.failed} were not reached: count again for those` : ""}.`, sum.redriven, all);
      this.ready(dry && !this.stopped ? sum.matched : 0);
    } catch (error) {
      this.running = false;
      this.tell(`${error.message}${dry ? "" : ` Redriven so far: ${sum.redriven}. Count again to go on with the rest.`}`, sum.redriven, all);
      this.ready(0);
    }
    if (!dry) refresh();
  },
  async pages(dry, all, sum) {
    const rate = Number($("redrive-rate").value) || 10;
    let left = dry ? Number($("redrive-limit").value) || Infinity : all;
    let cursor = null;
    do {
      const asked = {type: this.group.type, error: this.group.fingerprint, dry_run: dry, limit: Math.min(left, dry ? 1000 : Math.min(1000, rate * 2))};
      if (!dry) asked.rate = rate;
      if (cursor) asked.cursor = cursor;
      if (this.before) asked.before = this.before;
      const got = await api("redrives", asked);
      ({cursor, before: this.before} = got);
      for (const name of Object.keys(sum)) sum[name] += got[name];
      left -= got.matched;
      this.tell(dry ? `${number(sum.matched)} so far …` : `${number(sum.redriven)} of ${number(all)} redriven …`, sum.redriven, dry ? 1 : all);
    } while (cursor && left > 0 && !this.stopped);
  },
};

// ---------------------------------------------------------------- the shell

let view = null;
let held = null;
let fetched = 0;
let failure = null;
let turn = 0;
let timer = 0;

const every = () => Number($("every").value);

function say(text) { $("said").textContent = text; }
function complain(error) { say(""); failed(error); }

function failed(error) {
  failure = error;
  const text = error.message + (fetched ? ` What you see is from ${new Date(fetched).toLocaleTimeString("sv")}.` : "");
  if ($("banner").textContent !== text) $("banner").textContent = text;
  $("banner").hidden = false;
  $("signin").hidden = ![401, 403].includes(error.status);
}

function age() {
  const seconds = Math.round((Date.now() - fetched) / 1000);
  const late = fetched && (failure || (every() && seconds > 3 * every() + 5));
  $("age").textContent = fetched ? `${late ? "Stale: " : ""}${seconds < 1 ? "just now" : `${span(seconds)} old`}${every() ? "" : ", not refreshed"}` : failure ? "Nothing to show" : "Loading …";
  $("age").className = late ? "stale" : "";
}

function again() { if (held) put($("content"), view.render(held)); }

async function refresh() {
  const mine = ++turn;
  clearTimeout(timer);
  try {
    const got = await view.load();
    if (mine !== turn) return;
    [held, fetched, failure] = [got, Date.now(), null];
    $("banner").hidden = $("signin").hidden = true;
    $("banner").textContent = "";
    again();
  } catch (error) {
    if (mine !== turn) return;
    failed(error);
    // A task that is not there, or a wrong filter, is no outage: there is nothing older to show.
    if (error.status >= 400 && error.status < 500 && !held) put($("content"), make("p", {class: "dim"}, "Nothing to show."));
  }
  age();
  wait();
}

// A page that nobody looks at asks nothing; it asks at once when it is looked at again.
function wait() {
  clearTimeout(timer);
  if (every() && !document.hidden) timer = setTimeout(refresh, every() * 1000);
}

function route() {
  const [path, asked = ""] = location.hash.replace(/^#?\/?/, "").split("?");
  const given = Object.fromEntries(new URLSearchParams(asked));
  const [first, ...rest] = path.split("/");
  let id = rest.join("/");
  try { id = decodeURIComponent(id); } catch { /* as it is */ }
  view = first === "tasks" && id ? shown(id) : first === "tasks" ? listed(given) : first === "dead" ? dead(given) : overview;
  [held, fetched, failure] = [null, 0, null];
  say("");
  $("banner").hidden = true;
  document.title = `${view.title} · ftq`;
  for (const each of document.querySelectorAll("nav a")) {
    if (each.getAttribute("href") === `#/${first}`) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  $("main").replaceChildren(make("h1", {}, view.title), ...(view.above ? [view.above] : []), make("div", {id: "content"}));
  age();
  refresh();
}

function confirmed(title, text, yes) {
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = yes;
  $("confirm").returnValue = "no";
  $("confirm").showModal();
  return new Promise((resolve) => $("confirm").addEventListener("close", () => resolve($("confirm").returnValue === "yes"), {once: true}));
}

$("skip").addEventListener("click", (event) => { event.preventDefault(); $("main").focus(); });
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = `#/tasks/${encodeURIComponent($("id").value.trim())}`;
});
$("signin").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  $("token").value = "";
  refresh();
});
$("every").addEventListener("change", () => { age(); if (every()) refresh(); else clearTimeout(timer); });
$("redrive-form").addEventListener("submit", (event) => { event.preventDefault(); redrive.run(false); });
$("redrive-count").addEventListener("click", () => redrive.run(true));
$("redrive-stop").addEventListener("click", () => { redrive.stopped = true; });
$("redrive-close").addEventListener("click", () => $("redrive").close());
$("redrive-limit").addEventListener("input", () => redrive.ready(0));
$("redrive").addEventListener("close", () => { redrive.stopped = true; });
document.addEventListener("visibilitychange", () => { if (document.hidden) clearTimeout(timer); else if (every()) refresh(); });
addEventListener("hashchange", () => { route(); $("main").focus({preventScroll: false}); });
setInterval(age, 1000);
route();
})();
