// SPDX-License-Identifier: MPL-2.0

// The script-tag build with everything included. The tag's attributes say what to report:
// <script src="stick-all.js" data-url="/services/timing/record" data-vitals data-visits
//   data-errors data-attribution data-fields="device_type connection" defer></script>

import { sendAttribution } from "./attribution.js";
import { sendErrors } from "./errors.js";
import { send } from "./send.js";
import { tag } from "./tag.js";
import { connectionClass, deviceType } from "./visitor.js";
import { sendVisits } from "./visits.js";
import { sendVitals } from "./vitals.js";

const all = { send, sendAttribution, sendErrors, sendVisits, sendVitals };

declare global {
  interface Stick extends Partial<typeof all> {}
}

// As in script.ts: the functions of a page's first script know what they have reported.
window.stick = { ...all, ...(window.stick?.send && window.stick) };

if (tag) {
  const { url, fields = "", ...options } = tag.dataset;
  options.data = {
    ...(/\bdevice_type\b/.test(fields) && { device_type: deviceType() }),
    ...(/\bconnection\b/.test(fields) && { connection: connectionClass() }),
  };
  const stick = window.stick as typeof all;
  stick.send(url, options);
  if ("vitals" in options) stick.sendVitals(url, options);
  if ("visits" in options) stick.sendVisits(url, options);
  if ("errors" in options) stick.sendErrors(url, options);
  if ("attribution" in options) stick.sendAttribution(url, options);
}
