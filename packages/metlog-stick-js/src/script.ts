// SPDX-License-Identifier: MPL-2.0

// The script-tag build: the global `stick`, and a report without a line of JavaScript:
// <script src="stick.js" data-url="/services/timing/record" defer></script>

import { send } from "./send.js";

declare global {
  interface Stick {
    send: typeof send;
  }
  interface Window {
    stick?: Stick;
  }
}

// Not `??=`: an element with id="stick" is a property of the window, too. A second copy of
// the script keeps the first one's `send`, which knows what it has reported.
if (!window.stick?.send) window.stick = { send };

// A loader that runs this text by itself, as Cloudflare's Rocket Loader and jQuery do,
// leaves the tag in the page, but it is not the script that runs now. currentScript is null
// in a module, too; a bundle's own tag has no data-url.
const tag: any = document.currentScript?.dataset.url
  ? document.currentScript
  : document.querySelector("script[src*=stick][data-url]");

// data-sample, data-keys and data-respect-gpc are options as they stand.
if (tag) window.stick.send(tag.dataset.url, tag.dataset);
