// SPDX-License-Identifier: MPL-2.0

// Browser APIs that TypeScript's DOM library lacks.

interface Document {
  /** https://developer.mozilla.org/docs/Web/API/Document/prerendering */
  prerendering?: boolean;
}

interface Navigator {
  /** https://w3c.github.io/gpc/ */
  readonly globalPrivacyControl?: boolean;
}

/** Chromium only: https://developer.mozilla.org/docs/Web/API/Window/fetchLater */
declare function fetchLater(url: string, init: RequestInit): object;
