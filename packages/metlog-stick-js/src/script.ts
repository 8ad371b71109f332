// SPDX-License-Identifier: MPL-2.0

// The script-tag build: the global `stick`, and a report without writing any JavaScript:
// <script src="stick.js" data-url="/services/timing/record" defer></script>

import { send } from "./send.js";
import { tag } from "./tag.js";

declare global {
  interface Stick {
    send: typeof send;
  }
  interface Window {
    stick?: Stick;
  }
}

// Not `??=`, because an element with id="stick" is also a property of the window. A second
// copy of the script keeps the first one's `send`, which knows what it has reported.
if (!window.stick?.send) window.stick = { send };

// data-sample, data-keys and data-respect-gpc work as options unchanged.
if (tag) window.stick.send(tag.dataset.url, tag.dataset);
