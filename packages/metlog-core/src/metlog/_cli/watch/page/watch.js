// SPDX-License-Identifier: MPL-2.0
// Asks for what arrived once a second, and shows it. What is foreign becomes text
// nodes and attributes, never markup.

import {Chart, breakable, element, spark} from "./chart.js";
import {duration, many, nothing, number, percent, time} from "./format.js";

const EVERY_MS = 1000;
const PAGE_ROWS = 50;

const $ = (id) => document.getElementById(id);
const figure = (name) => document.querySelector(`[data-chart="${name}"]`);
const body = (name) => document.querySelector(`[data-rows="${name}"]`);

const charts = {
  responses: new Chart(figure("responses"), "Responses every 5 seconds"),
  times: new Chart(figure("times"), "How long they took", duration),
  queries: new Chart(figure("queries"), "Statements every 5 seconds"),
  cache: new Chart(figure("cache"), "Keys asked for every 5 seconds"),
};

const bars = (name, title, points, label = title) => ({kind: "bars", name, title, label, points});
const line = (name, title, points, label = title) => ({kind: "line", name, title, label, points});

function show(id, wanted) {
  $(id).hidden = !wanted;
}

function overview(data) {
  const {received, requests, errors, views, queries, cache, browser} = data;
  $("received").textContent =
    `${many(received.lines, "line")} at ${data.heard_at} (UDP), ` +
    `${number(received.series)} series in the last 15 minutes`;
  kept(received);
  show("empty", !received.lines);
  for (const place of document.querySelectorAll(".heard-at")) place.textContent = data.heard_at;
  for (const place of document.querySelectorAll(".heard-port")) {
    place.textContent = data.heard_at.split(":").pop();
  }
  tiles(data);

  show("requests", requests.count);
  charts.responses.show(
    data,
    requests.classes.map(({name, count, points}) =>
      bars(name, name, points, `${name} ${number(count)}`),
    ),
  );
  const {time: took} = requests;
  charts.times.show(data, [
    line("p50", "p50", took.p50_points, `p50 ${duration(took.p50)}`),
    line("p95", "p95", took.p95_points, `p95 ${duration(took.p95)}`),
  ]);

  show("errors", errors.length);
  fill("errors", errors, (row) => [
    head(row.name),
    element("td", {class: "soft"}, ...breakable(row.from)),
    cell(number(row.count), "number"),
    wide(spark(data, [bars("bad", "", row.points)])),
  ]);

  show("views", views.length);
  fill("views", views, (row) => [
    head(`${row.view} `, element("span", {class: "tag"}, row.method)),
    cell(number(row.count), "number"),
    cell(duration(row.p50), "number wide"),
    cell(duration(row.p95), "number"),
    cell(duration(row.max), "number wide"),
    cell(percent(row.share), "number"),
    wide(spark(data, [line("p95", "", row.points)])),
  ]);

  const calls = (row) => [
    head(row.name),
    cell(number(row.count), "number"),
    cell(duration(row.p95), "number"),
    cell(duration(row.total), "number wide"),
  ];
  show("queries", queries.rows.length);
  charts.queries.show(data, [
    bars("count", "statements", queries.counts, many(queries.count, "statement")),
  ]);
  fill("queries", queries.rows, calls);

  show("cache", cache.rows.length || cache.hits + cache.misses);
  charts.cache.show(data, [
    bars("hits", "hits", cache.hit_points, many(cache.hits, "hit")),
    bars("misses", "misses", cache.miss_points, cache.misses === 1 ? "1 miss" : `${number(cache.misses)} misses`),
  ]);
  fill("cache", cache.rows, calls);

  show("browser", browser.vitals.length + browser.milestones.length || browser.loads);
  const types = browser.types.map(({name, count}) => `${number(count)} ${name}`);
  $("loads").textContent = browser.loads
    ? `${many(browser.loads, "load")}: ${types.join(", ")}`
    : "";
  fill("vitals", browser.vitals, (row) => [
    head(row.name),
    cell(vital(row, row.p75), "number"),
    element("td", {}, element("span", {class: `rating is-${TONES[row.rating]}`}, row.rating)),
    cell(vital(row, row.good), "number wide"),
    cell(number(row.count), "number wide"),
  ]);
  const last = Math.max(...browser.milestones.map((row) => row.p75 ?? 0));
  fill("milestones", browser.milestones, (row) => [
    head(row.name),
    cell(duration(row.p75), "number"),
    wide(
      element("meter", {
        min: 0,
        max: last || 1,
        value: row.p75 ?? 0,
        "aria-label": `${row.name} after ${duration(row.p75)}`,
      }),
    ),
  ]);

  show("messages", data.messages.length);
  fill("messages", data.messages, (row) => [
    cell(time(row.at), "soft short"),
    head([SEVERITIES[row.severity], row.logger].filter(Boolean).join(" ") || row.type),
    element(
      "td",
      {},
      `${row.payload} `,
      row.fields ? element("span", {class: "tag"}, row.fields) : null,
    ),
  ]);
}

const TONES = {good: "good", "needs improvement": "warn", poor: "bad"};
const SEVERITIES = [
  ...["emergency", "alert", "critical", "error"],
  ...["warning", "notice", "informational", "debug"],
];
const vital = ({short}, value) => (short === "CLS" ? number(value) : duration(value));

function kept({refused, max_series: most, unreadable, unreadable_last: last}) {
  const said = [];
  if (refused) {
    said.push(
      `${many(refused, "line")} had a name beyond the ${number(most)} series that are kept.`,
    );
  }
  if (unreadable) said.push(`${many(unreadable, "line")} could not be read, at last: ${last}`);
  show("kept", said.length);
  if ($("kept").textContent !== said.join(" ")) $("kept").textContent = said.join(" ");
}

function tiles(data) {
  const {requests, queries, cache, browser} = data;
  const lcp = browser.vitals.find(({short}) => short === "LCP");
  const took = requests.time;
  const minute = requests.classes.flatMap(({points}) => points.slice(-12));
  const rate = minute.reduce((sum, value) => sum + value, 0) / 60;
  const failed = requests.classes.find(({name}) => name === "5xx");
  const answered = requests.classes.some(({count}) => count);
  const errors = answered ? requests.errors / requests.count : null;
  const all = [
    {
      label: "Requests",
      value: number(requests.count),
      note: `${number(rate)} a second in the last minute`,
      layers: requests.classes.map(({name, points}) => bars(name, "", points)),
    },
    {
      label: "Server errors",
      value: percent(errors),
      note: errors === null ? "no statuses" : `${number(requests.errors)} answered 5xx`,
      tone: errors > 0 ? "bad" : null,
      layers: [bars("5xx", "", failed.points)],
    },
    {
      label: "Response time, p95",
      value: duration(took.p95),
      note: `p50 is ${duration(took.p50)}`,
      layers: [line("p95", "", took.p95_points)],
    },
    {
      label: "In the database",
      value: percent(queries.share),
      note: queries.count
        ? `of the time, ${number(queries.per_request)} statements a request`
        : "no statements",
      layers: [bars("count", "", queries.counts)],
    },
    {
      label: "Cache hits",
      value: percent(cache.share),
      note: cache.share == null
        ? "no keys asked for"
        : `${number(cache.hits)} of ${many(cache.hits + cache.misses, "key")}`,
      layers: [bars("hits", "", cache.hit_points), bars("misses", "", cache.miss_points)],
    },
    {
      label: "Largest paint, LCP",
      value: lcp ? duration(lcp.p75) : nothing,
      note: lcp ? `p75 of ${many(lcp.count, "visit")}: ${lcp.rating}` : "no visits with vitals",
      tone: lcp ? TONES[lcp.rating] : null,
      layers: [],
    },
  ];
  $("tiles").replaceChildren(
    ...all.map(({label, value, note, tone, layers}) =>
      element(
        "li",
        {class: tone},
        element("span", {}, label),
        element("strong", {}, value),
        element("span", {}, note),
        spark(data, layers),
      ),
    ),
  );
  show("tiles", requests.count || queries.count || cache.rows.length || browser.loads);
}

function fill(name, rows, cells) {
  body(name).closest("table").hidden = !rows.length;
  body(name).replaceChildren(...rows.map((row) => element("tr", {}, ...cells(row))));
}

const head = (name, ...more) => element("th", {scope: "row"}, ...breakable(name), ...more);
const cell = (text, name) => element("td", {class: name}, text);
const wide = (content) => element("td", {class: "wide"}, content);

// Every series: rows stay the same elements, so that focus and what is unfolded stay.

const rows = new Map();
let limit = PAGE_ROWS;

function series(data) {
  const words = $("search").value.trim();
  const said = words
    ? `${number(data.found)} of ${number(data.of)} series`
    : many(data.of, "series").replace(/seriess$/, "series");
  if ($("found").dataset.words !== words || !words) {
    $("found").dataset.words = words;
    // Read out after a search, not each time that something arrives.
    $("found").setAttribute("aria-live", words ? "polite" : "off");
    $("found").textContent = said;
  }
  show("more", data.found > data.rows.length && limit < 500);
  const shown = new Set();
  const wanted = [];
  for (const one of data.rows) {
    const key = JSON.stringify([one.kind, one.name, one.labels]);
    const row = rows.get(key) ?? new Row(one);
    rows.set(key, row);
    row.show(data, one);
    shown.add(key);
    wanted.push(...row.elements);
  }
  for (const key of [...rows.keys()]) if (!shown.has(key)) rows.delete(key);
  const now = [...$("rows").children];
  if (now.length !== wanted.length || now.some((row, i) => row !== wanted[i])) {
    const focused = document.activeElement;
    $("rows").replaceChildren(...wanted);
    if (focused !== document.activeElement && $("rows").contains(focused)) focused.focus();
  }
}

let made = 0;

class Row {
  constructor({kind, name, labels}) {
    const id = `detail-${++made}`;
    this.button = element(
      "button",
      {type: "button", "aria-expanded": "false", "aria-controls": id},
      element("span", {}, ...breakable(name)),
    );
    const tags = Object.entries(labels).flatMap(([label, value]) => [
      " ",
      element("span", {class: "tag"}, `${label} `, element("b", {}, ...breakable(value))),
    ]);
    this.now = element("td", {class: "number"});
    this.small = element("td", {class: "wide"});
    this.row = element(
      "tr",
      {},
      element("th", {scope: "row"}, this.button, ...tags),
      element("td", {class: "wide soft short"}, kind),
      this.now,
      this.small,
    );
    this.place = element("td", {colspan: 4});
    this.detail = element("tr", {class: "detail", id, hidden: ""}, this.place);
    this.button.addEventListener("click", () => this.unfold());
    this.elements = [this.row, this.detail];
  }

  show(frame, one) {
    this.frame = frame;
    this.one = one;
    this.now.textContent = summary(one);
    const layers = one.sums
      ? [bars("count", "", one.sums)]
      : [line("value", "", one.values)];
    this.small.replaceChildren(spark(frame, layers));
    if (!this.detail.hidden) this.draw();
  }

  unfold() {
    this.detail.hidden = !this.detail.hidden;
    this.button.setAttribute("aria-expanded", String(!this.detail.hidden));
    if (!this.detail.hidden) this.draw();
  }

  draw() {
    const {one, frame} = this;
    const unit = one.kind === "timer" ? duration : number;
    this.charts ??= this.make(unit);
    if (one.sums) {
      const sum = one.total ?? one.count;
      this.charts.sums.show(frame, [bars("count", "count", one.sums, number(sum))]);
    }
    if (one.values) {
      const spread = one.p95 !== undefined;
      const name = spread ? "p95" : "value";
      const label = spread
        ? `p50 ${unit(one.p50)}, p95 ${unit(one.p95)}, mean ${unit(one.mean)}, max ${unit(one.max)}`
        : `${name} ${unit(one.last ?? one.members)}`;
      this.charts.values.show(frame, [line("value", name, one.values, label)]);
    }
  }

  make(unit) {
    const pair = element("div", {class: "pair"});
    const made = {};
    const add = (key, title, how) => {
      const place = element("figure");
      pair.append(place);
      made[key] = new Chart(place, title, how);
    };
    if (this.one.sums) add("sums", "Every 5 seconds", number);
    if (this.one.values) add("values", this.one.sums ? "How much" : "Level", unit);
    this.place.replaceChildren(pair);
    return made;
  }
}

function summary(one) {
  if (one.kind === "timer") return `${duration(one.p95)} · ${number(one.count)}×`;
  if (one.p95 !== undefined) return `${number(one.p95)} · ${number(one.count)}×`;
  return number(one.total ?? one.last ?? one.members);
}

// Once a second, as long as somebody looks.

let paused = false;

async function ask(path) {
  const answer = await fetch(path, {cache: "no-store"});
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

let asked = 0;
let shown = 0;

async function refresh() {
  const number = ++asked;
  try {
    const words = encodeURIComponent($("search").value.trim());
    const [all, found] = await Promise.all([
      ask("/overview"),
      ask(`/series?limit=${limit}&q=${words}`),
    ]);
    if (number < shown) return; // a later one, for other words, was quicker
    shown = number;
    overview(all);
    series(found);
    news(paused ? "Paused: the charts stand still, and nothing that arrives is lost." : "");
  } catch (error) {
    news(`Not connected to python -m metlog watch: ${error.message}`);
  }
}

function news(text) {
  if ($("news").textContent !== text) $("news").textContent = text;
}

async function keepGoing() {
  if (!paused && !document.hidden) await refresh();
  setTimeout(keepGoing, EVERY_MS);
}

$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  refresh();
});
$("search").addEventListener("input", () => {
  limit = PAGE_ROWS;
  refresh();
});
$("more").addEventListener("click", () => {
  limit += PAGE_ROWS;
  refresh();
});

keepGoing();
