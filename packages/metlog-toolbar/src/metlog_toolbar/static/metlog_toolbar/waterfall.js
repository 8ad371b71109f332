// SPDX-License-Identifier: MPL-2.0
// One timeline from click to paint: the browser's phases around the server's timers.
//
// The rows are the template's; their data-start and data-ms are the data. Here the
// browser's rows are added, the server's moved to their place, and all bars drawn for
// the span in view. A custom element, for panel.js's reasons.

// Names in Navigation Timing level 2: https://www.w3.org/TR/navigation-timing-2/
const BEFORE_SERVER = [
    ["Redirect", "redirectStart", "redirectEnd"],
    ["DNS", "domainLookupStart", "domainLookupEnd"],
    ["Connect", "connectStart", "connectEnd"],
    ["TLS", "secureConnectionStart", "connectEnd", 1],
    ["Request", "requestStart", "responseStart"],
];
const AFTER_SERVER = [
    ["Response", "responseStart", "responseEnd"],
    ["DOM", "domLoading", "domComplete"],
    ["DOMContentLoaded", "domContentLoadedEventStart", "domContentLoadedEventEnd", 1],
    ["Load", "loadEventStart", "loadEventEnd"],
    ["First paint", "first-paint"],
    ["First contentful paint", "first-contentful-paint"],
];

const SERVER_ONLY =
    "The server’s part only: this request was not the load of this page " +
    "(or the browser hides Server-Timing, as it does outside https and localhost).";

const FROM_CACHE =
    "The server’s part only, from the request that once made this page: " +
    "now the browser took it from its cache.";

// A browser may round its times to whole milliseconds.
const ROUNDED = 1;

class MetlogWaterfall extends HTMLElement {
    connectedCallback() {
        if (this.ready) {
            return;
        }
        this.ready = true;
        if (document.readyState === "loading") {
            // The parser may have made us before our children.
            addEventListener("DOMContentLoaded", () => this.begin(), { once: true });
        } else {
            this.begin();
        }
    }

    begin() {
        this.table = this.querySelector("table");
        this.axis = this.querySelector(".mt-axis");
        this.ticks = svg("svg", { class: "mt-ticks", width: "100%", height: 16, "aria-hidden": "true" });
        this.grid = svg("svg", { class: "mt-grid", width: "100%", "aria-hidden": "true" });
        for (const old of this.axis.querySelectorAll("svg")) {
            old.remove(); // a page cache's copy of this element has them
        }
        this.axis.append(this.ticks, this.grid);
        this.build();
        this.listenToKeys();
        this.listenToPointer();
        new ResizeObserver(() => this.draw()).observe(this.table);
        if (this.loading) {
            // loadEventEnd is set after the handlers, so in a later task.
            addEventListener("load", () => setTimeout(() => this.build()), { once: true });
        }
    }

    // The two clocks are not shared: the server's part ends where the response begins.
    build() {
        for (const row of this.querySelectorAll(".mt-browser")) {
            row.remove();
        }
        this.rows = [...this.querySelectorAll(".mt-row")];
        const server = this.querySelector(".mt-server");
        const serverMs = Number(server.dataset.ms);
        const loaded = navigationTimes(this.dataset.request);
        const times = loaded?.responseStart - loaded?.requestStart > serverMs - ROUNDED ? loaded : null;
        this.loading = times && !times.loadEventEnd;
        this.querySelector(".mt-note").textContent = times ? "" : loaded ? FROM_CACHE : SERVER_ONLY;
        this.toggleAttribute("data-browser", Boolean(times));
        const origin = times ? times.responseStart - serverMs : 0;
        for (const row of this.rows) {
            row.start = Number(row.dataset.start) + origin;
            row.ms = Number(row.dataset.ms);
            row.querySelector(".mt-start").textContent = row.start.toFixed(2);
        }
        if (times) {
            const before = BEFORE_SERVER.map((phase) => this.phase(times, phase)).filter(Boolean);
            const after = AFTER_SERVER.map((phase) => this.phase(times, phase)).filter(Boolean);
            server.before(...before);
            server.parentElement.append(...after);
            this.rows = [...before, ...this.rows, ...after];
        }
        const from = Math.min(0, ...this.rows.map((row) => row.start));
        const to = Math.max(...this.rows.map((row) => row.start + row.ms));
        this.all = [from, to + Math.max((to - from) * 0.01, 0.001)];
        // What began before the click, such as an age that was sent as a timer, would
        // press the page itself flat.
        this.show(times ? 0 : from, this.all[1]);
    }

    phase(times, [name, from, to = from, depth = 0]) {
        if (times[from] === undefined || times[to] === undefined) {
            return null;
        }
        const row = this.querySelector(".mt-server").cloneNode(true);
        row.className = `mt-row mt-browser${to === from ? " mt-moment" : ""}`;
        row.dataset.depth = depth;
        row.start = times[from];
        row.ms = times[to] - times[from];
        const [label, , begins, takes] = row.children;
        label.textContent = name;
        begins.textContent = row.start.toFixed(2);
        takes.textContent = to === from ? "" : row.ms.toFixed(2);
        return row;
    }

    show(from, to) {
        const [first, last] = this.all;
        const span = Math.min(Math.max(to - from, (last - first) / 1e5), last - first);
        const begin = Math.min(Math.max((from + to - span) / 2, first), last - span);
        this.view = [begin, begin + span];
        this.draw();
    }

    showRow({ start, ms }) {
        const margin = Math.max(ms, 0.02) * 0.05;
        this.show(start - margin, start + ms + margin);
    }

    zoom(factor) {
        const row = this.getRootNode().activeElement?.closest(".mt-row");
        const [from, to] = this.view;
        const middle = row ? row.start + row.ms / 2 : (from + to) / 2;
        const half = ((to - from) * factor) / 2;
        this.show(middle - half, middle + half);
    }

    move(part) {
        const [from, to] = this.view;
        const by = (to - from) * part;
        this.show(from + by, to + by);
    }

    draw() {
        const [from, to] = this.view;
        const percent = (ms) => `${(((ms - from) / (to - from)) * 100).toFixed(4)}%`;
        for (const row of this.rows) {
            const rect = row.querySelector("rect");
            rect.setAttribute("x", percent(row.start));
            // What takes no time has an edge to see; without any width it has none.
            rect.setAttribute("width", row.ms ? percent(from + row.ms) : "0.01%");
        }
        const pixel = (to - from) / Math.max(140, this.axis.clientWidth);
        const step = niceStep(55 * pixel);
        const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
        const marks = [];
        for (let n = Math.ceil(from / step); n * step <= to; n++) {
            marks.push(n * step);
        }
        const labelled = marks.filter((ms) => ms < to - 30 * pixel); // room for its text
        this.ticks.replaceChildren(
            ...labelled.map((ms) => {
                const text = svg("text", { x: percent(ms), y: 12, dx: 3 });
                text.textContent = ms.toFixed(digits);
                return text;
            }),
        );
        this.grid.setAttribute("height", this.table.clientHeight);
        this.grid.replaceChildren(
            ...marks.map((ms) => svg("line", { x1: percent(ms), x2: percent(ms), y1: "0", y2: "100%" })),
        );
        this.querySelector(".mt-range").textContent =
            `${from.toFixed(digits + 1)} – ${to.toFixed(digits + 1)} ms`;
    }

    listenToKeys() {
        const actions = {
            in: () => this.zoom(0.5),
            out: () => this.zoom(2),
            server: () => this.showRow(this.querySelector(".mt-server")),
            all: () => this.show(...this.all),
        };
        const keys = {
            "+": actions.in,
            "=": actions.in,
            "-": actions.out,
            0: actions.all,
            s: actions.server,
            ArrowLeft: () => this.move(-0.2),
            ArrowRight: () => this.move(0.2),
        };
        this.addEventListener("click", (event) => {
            actions[event.target.closest("[data-zoom]")?.dataset.zoom]?.();
        });
        this.addEventListener("keydown", (event) => {
            if (Object.hasOwn(keys, event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) {
                keys[event.key]();
                event.preventDefault();
            }
        });
    }

    // Drag over the lanes to look at that span; click a bar to look at that bar.
    listenToPointer() {
        let begun = null;
        const chosen = svg("rect", { class: "mt-chosen", y: 0, height: "100%" });
        const at = (event) => {
            const { left, width } = this.ticks.getBoundingClientRect();
            const part = Math.min(1, Math.max(0, (event.clientX - left) / width));
            const [from, to] = this.view;
            return { part, ms: from + part * (to - from), x: event.clientX };
        };
        this.table.addEventListener("pointerdown", (event) => {
            if (event.button === 0 && event.target.closest(".mt-lane, .mt-axis")) {
                begun = { ...at(event), row: event.target.closest(".mt-row"), bar: event.target.closest("rect") };
                this.table.setPointerCapture(event.pointerId);
                event.preventDefault(); // no selecting of text
            }
        });
        this.table.addEventListener("pointermove", (event) => {
            if (begun) {
                const now = at(event);
                chosen.setAttribute("x", `${Math.min(begun.part, now.part) * 100}%`);
                chosen.setAttribute("width", `${Math.abs(begun.part - now.part) * 100}%`);
                this.grid.append(chosen);
            }
        });
        const end = (event) => {
            const was = begun;
            begun = null;
            chosen.remove();
            if (!was || event.type !== "pointerup") {
                return;
            }
            const now = at(event);
            if (Math.abs(now.x - was.x) > 4) {
                this.show(Math.min(was.ms, now.ms), Math.max(was.ms, now.ms));
            } else if (was.bar) {
                this.showRow(was.row);
            }
        };
        this.table.addEventListener("pointerup", end);
        this.table.addEventListener("pointercancel", end);
        this.table.addEventListener("dblclick", (event) => {
            // The pointer was captured, so over a lane the target is the table.
            if (!event.target.closest(".mt-name, .mt-number")) {
                this.show(...this.all);
            }
        });
    }
}

// Milliseconds since the click, or null when `request` was not the load of this page:
// the panel has written its id into that response's Server-Timing header. A page from
// the browser's cache, as after Back, has that header still, and no time for the server.
function navigationTimes(request) {
    const entry = performance.getEntriesByType("navigation")[0];
    if (!entry?.serverTiming?.some((timing) => timing.description === request)) {
        return null;
    }
    const times = {};
    for (const [, ...names] of [...BEFORE_SERVER, ...AFTER_SERVER]) {
        for (const name of names) {
            if (entry[name] > 0) {
                times[name] = entry[name];
            }
        }
    }
    // Not in level 2, and still in the level 1 of every engine, in whole milliseconds.
    const { domLoading, navigationStart } = performance.timing;
    times.domLoading = domLoading ? domLoading - navigationStart : times.responseStart;
    for (const paint of performance.getEntriesByType("paint")) {
        times[paint.name] = paint.startTime;
    }
    return times;
}

function niceStep(least) {
    const power = 10 ** Math.floor(Math.log10(least));
    return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= least);
}

function svg(name, attributes) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) {
        element.setAttribute(key, value);
    }
    return element;
}

if (!customElements.get("metlog-waterfall")) {
    customElements.define("metlog-waterfall", MetlogWaterfall);
}
