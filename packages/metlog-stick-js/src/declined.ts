// SPDX-License-Identifier: MPL-2.0

import type { Options } from "./options.js";

/** Return whether not to report this page. Call it once per page, because it is random. */
export const declined = ({ sample = 1, respectGpc }: Options): unknown =>
  (respectGpc && navigator.globalPrivacyControl) || Math.random() >= sample;
