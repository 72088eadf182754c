export const TRAIN_STYLE = `
.ady-train { gap: 16px; padding: 16px; max-width: 860px; }
.ady-train > form, .ady-train .job-form { display: flex; flex-direction: column; gap: 20px; margin: 0; min-width: 0; }
.ady-train .fields > .notice { grid-column: 1 / -1; }
.ady-train hr { width: 100%; margin: 0; border: 0; border-top: 1px solid var(--edge); }
.ady-train .wide { grid-column: 1 / -1; }
.ady-train .versions, .ady-train .versions .list { display: flex; flex-direction: column; gap: 12px; }
.ady-train .versions .fields + .fields { padding-top: 12px; border-top: 1px dashed var(--edge); }
.ady-train .remove { grid-column: 1 / -1; }
.ady-train .remove:has([hidden]) { display: none; }
.ady-train .adapter { display: flex; flex-direction: column; gap: 8px; }
.ady-train .derived { margin-top: 20px; }
.ady-train .derived caption { padding-bottom: 4px; color: var(--soft); text-align: left; }
.ady-train .derived th { width: 12em; }
.ady-train .preflight { display: flex; flex-direction: column; gap: 14px; min-width: 0; padding: 14px 16px; border: 1px solid var(--edge); border-radius: 8px; }
.ady-train .preflight > .row { justify-content: space-between; }
.ady-train .preflight > .row > .soft { flex: 1 1 16em; font-size: 13px; }
.ady-train .report:empty, .ady-train .batch:empty, .ady-train .preflight > [role=alert]:empty { display: none; }
.ady-train .report:focus { outline: none; }
.ady-train .report > div, .ady-train .batch > div { display: flex; flex-direction: column; gap: 16px; }
.ady-train .report ul { margin: 0; padding-left: 18px; display: flex; flex-direction: column; gap: 4px; }
.ady-train .report .link { color: var(--ink); }
.ady-train .clear { font-weight: 600; }
.ady-train .tiles { display: grid; gap: 10px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 10.5em), 1fr)); }
.ady-train .tile { display: flex; flex-direction: column; gap: 2px; padding: 10px 12px; border-radius: 6px; background: var(--tint); font-size: 12px; }
.ady-train .tile strong { font-size: 16px; font-variant-numeric: tabular-nums; }
.ady-train .batch > div { gap: 10px; }
.ady-train .batch-head { position: sticky; top: 0; z-index: 1; padding: 4px 0; background: var(--paper); }
.ady-train .tokens button { min-height: 24px; margin: 0 4px; padding: 0 8px; font-size: 12px; }
.ady-train .batch h4 { margin: 0; font-size: 14px; }
.ady-train .tokens { max-height: 320px; overflow: auto; padding: 8px 10px; border: 1px solid var(--edge); border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere;
  font: 13px/1.7 var(--jp-code-font-family, ui-monospace, monospace); color: var(--soft); }
.ady-train .tokens span > span { border-right: 1px solid var(--edge); }
.ady-train mark > span { border-right: 1px solid color-mix(in srgb, var(--good) 65%, var(--paper)); }
.ady-train mark { color: var(--ink); background: color-mix(in srgb, var(--good) 22%, var(--paper)); text-decoration: underline; text-decoration-color: var(--good); text-underline-offset: 3px; }
.ady-train .send { position: sticky; bottom: 0; z-index: 2; padding: 12px 0; border-top: 1px solid var(--edge); background: var(--paper); }
.ady-train form :is(input, select, textarea, button, summary, [tabindex], [role=alert]) { scroll-margin-bottom: 80px; }
.ady-train .send button { min-height: 38px; padding: 7px 20px; }
.ady-train button[aria-disabled=true] { opacity: .55; cursor: default; }
.ady-train .submitted { display: flex; flex-direction: column; gap: 8px; padding: 16px; border: 1px solid var(--edge); border-left: 4px solid var(--good); border-radius: 6px; }
.ady-train .submitted:focus { outline: none; }
.ady-train .submitted .row { margin-top: 8px; }
.ady-train .submitted h3 { overflow-wrap: anywhere; }
@container (max-width: 420px) { .ady-train { padding: 12px; } .ady-train .send button { width: 100%; } }
`;
