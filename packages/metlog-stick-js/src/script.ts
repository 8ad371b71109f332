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

// currentScript is null in a module; a bundle's own tag has no data-url.
const url = document.currentScript?.dataset.url;
if (url) window.stick.send(url);
