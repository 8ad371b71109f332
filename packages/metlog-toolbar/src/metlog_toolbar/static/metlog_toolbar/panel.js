// SPDX-License-Identifier: MPL-2.0
// The panel around the waterfall: filter, copy, what a key means, its graphs.
//
// A custom element, because the browser then calls us wherever and however often the
// panel appears: loaded on click, switched by the history panel, swapped in by htmx or
// Turbo, inside the toolbar's shadow root or not.

class MetlogPanel extends HTMLElement {
    connectedCallback() {
        if (this.ready) {
            return; // moved, not made: as Turbo does with permanent elements
        }
        this.ready = true;
        this.addEventListener("input", (event) => this.filter(event.target.value));
        this.addEventListener("keydown", (event) => this.clearFilter(event));
        this.addEventListener("click", (event) => this.click(event.target.closest("button")));
    }

    filter(text) {
        const words = text.toLowerCase().split(/\s+/).filter(Boolean);
        const rows = this.querySelectorAll(".mt-row, .mt-group, .mt-message");
        let shown = 0;
        for (const row of rows) {
            // Of a key its row, without what it unfolds to.
            const found = (row.rows?.[0] ?? row).textContent.toLowerCase();
            row.hidden = !words.every((word) => found.includes(word));
            shown += row.hidden ? 0 : 1;
        }
        this.say(words.length ? `${shown} of ${rows.length} rows` : "");
    }

    clearFilter(event) {
        if (event.key === "Escape" && event.target.matches(".mt-filter") && event.target.value) {
            event.stopPropagation(); // the toolbar would close the panel
            event.target.value = "";
            this.filter("");
        }
    }

    click(button) {
        if (button?.dataset.copy) {
            this.copy(button.dataset.copy);
        } else if (button?.matches(".mt-toggle")) {
            this.toggle(button, button.getAttribute("aria-expanded") !== "true");
        } else if (button?.matches(".mt-key")) {
            this.open(button.dataset);
        }
    }

    open({ kind, key }) {
        for (const button of this.querySelectorAll(".mt-toggle")) {
            if (button.dataset.kind === kind && button.dataset.key === key) {
                this.toggle(button, true);
                button.focus({ preventScroll: true });
                button.closest(".mt-group").scrollIntoView({ block: "nearest" });
            }
        }
    }

    toggle(button, open) {
        button.setAttribute("aria-expanded", open);
        const detail = button.closest(".mt-group").querySelector(".mt-detail");
        detail.hidden = !open;
        const place = detail.querySelector(".mt-production");
        if (open && place && !place.dataset.asked) {
            place.dataset.asked = "yes";
            this.ask(place, button.dataset);
        }
    }

    async ask(place, { kind, key, labels, mean }) {
        place.textContent = `Asking ${this.dataset.backend}…`;
        const url = new URL(this.dataset.graph, location);
        url.search = new URLSearchParams({ kind, key, labels, value: mean });
        try {
            const answer = await fetch(url, { credentials: "same-origin" });
            place.innerHTML = (await answer.json()).content;
        } catch (error) {
            place.textContent = `No graph: ${error.message}`;
            delete place.dataset.asked;
        }
    }

    async copy(format) {
        const source = this.querySelector(`[data-text=${format}]`);
        try {
            await navigator.clipboard.writeText(source.textContent);
            this.say("Copied.");
        } catch {
            // Neither https nor localhost, or no permission: the old way.
            source.closest("details").open = true;
            const area = document.createElement("textarea");
            area.value = source.textContent;
            source.after(area);
            area.select();
            const copied = document.execCommand("copy");
            area.remove();
            this.say(copied ? "Copied." : "The browser forbids copying: select the text below.");
        }
    }

    say(text) {
        this.querySelector(".mt-status").textContent = text;
    }
}

if (!customElements.get("metlog-panel")) {
    customElements.define("metlog-panel", MetlogPanel);
}
