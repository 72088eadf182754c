// The icons of the panel and of each view. Lab's classes colour them in each theme.

import { LabIcon } from "@jupyterlab/ui-components";

function drawn(name: string, paths: string): LabIcon {
  const svgstr = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161">${paths}</g></svg>`;
  return new LabIcon({ name: `adaptery:${name}`, svgstr });
}

/** An adapter on its base: layers. */
export const icon = drawn(
  "icon",
  `<path d="M12 3 2.5 8.2 12 13.4l9.5-5.2z"/>
  <path d="m5.2 11.6-2.7 1.5L12 18.3l9.5-5.2-2.7-1.5-6.8 3.7z"/>
  <path d="m5.2 16.3-2.7 1.5L12 23l9.5-5.2-2.7-1.5L12 20z"/>`,
);

const ICONS: Readonly<Record<string, LabIcon>> = {
  panel: icon,
  // Records, and a pencil that mends one.
  curate: drawn("curate", `<path d="M3 4h18v3H3zm0 5h18v2.2l-2 2V11H5v2h10.5l-2 2H5v2h6.5l-1 1-.4 2H3z"/><path d="m12.5 18.5 6.8-6.8 2.5 2.5-6.8 6.8-3 .5z"/>`),
  // A weight that is set up.
  train: drawn("train", `<path d="M1.5 10h2v4h-2zM4.5 7h3.2v10H4.5zM8.7 10.8h6.6v2.4H8.7zM16.3 7h3.2v10h-3.2zM20.5 10h2v4h-2z"/>`),
  // Lines of which some are done.
  jobs: drawn("jobs", `<path d="M9.5 5h12v2.4h-12zm0 5.8h12v2.4h-12zm0 5.8h12V19h-12z"/><path d="m4.3 8.9-2.6-2.6L3 5l1.3 1.3L7 3.6l1.3 1.3zm0 5.8L1.7 12 3 10.8l1.3 1.3L7 9.4l1.3 1.3z"/><circle cx="5" cy="17.8" r="1.9"/>`),
  // A loss that falls.
  watch: drawn("watch", `<path d="M3 3h2.2v15.8H21V21H3z"/><path d="m7.2 6.6 1.5-1.5 3.8 6 3.2.3 5 4.3-1.4 1.7-4.4-3.8-3.8-.4z"/>`),
  // Two who talk.
  chat: drawn("chat", `<path d="M2.5 3.5h13v9H8l-3.5 3v-3h-2z"/><path d="M17.5 8h4v9h-2v3L16 17H9l2.5-2.5h6z"/>`),
  // A key.
  keys: drawn("keys", `<path fill-rule="evenodd" d="M7.5 7a5 5 0 1 0 4.6 7H14l1.6-1.6L17.2 14l1.6-1.6L20 14h1l2-2-2-2h-8.9A5 5 0 0 0 7.5 7m-1 3.3a1.7 1.7 0 1 1 0 3.4 1.7 1.7 0 0 1 0-3.4"/>`),
};

/** The icon of a view. */
export function iconOf(view: string): LabIcon {
  return ICONS[view] ?? icon;
}
