// SPDX-License-Identifier: MPL-2.0

import type { Options } from "./options.js";

/** Return whether this page is not to be reported. Ask once per page: it throws dice. */
export const declined = ({ sample = 1, respectGpc }: Options): unknown =>
  (respectGpc && navigator.globalPrivacyControl) || Math.random() >= sample;
