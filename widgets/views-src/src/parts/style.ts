// How all views look. Colours and fonts come from JupyterLab's variables where there are any, so that
// light and dark fit. Sheets are adopted, not inserted: that works under a policy without inline styles.
// Each view has its own copy of what all share, for itself alone: else the view that was opened last would
// change how those look that were opened before.

const adopted = new Map<string, CSSStyleSheet>();

/** Apply style sheets to the view that `el` is in or holds, once. `el` must be in its document already, or go to the main one. */
export function adopt(el: Node, ...texts: string[]): void {
  const root = el.getRootNode();
  const scope = root instanceof ShadowRoot ? root : document;
  const view = viewOf(el);
  for (const text of [BASE, ...texts]) {
    const scoped = view ? scopedTo(view, text) : text;
    let sheet = adopted.get(scoped);
    if (!sheet) {
      sheet = new CSSStyleSheet();
      sheet.replaceSync(scoped);
      adopted.set(scoped, sheet);
    }
    if (!scope.adoptedStyleSheets.includes(sheet)) scope.adoptedStyleSheets.push(sheet);
  }
}

/** The rules for all views, as rules for one of them. */
export function scopedTo(view: string, text: string): string {
  return text.replace(/\.ady(?![\w-])/g, `.${view}`);
}

/** The class that names a view; none of what is no view. */
function viewOf(el: Node): string | undefined {
  const within = el instanceof Element ? (el.closest(".ady") ?? el.querySelector(".ady")) : null;
  return [...(within?.classList ?? [])].find((name) => name.startsWith("ady-"));
}

// `--fill` is our own: white on Lab's dark brand colour is too faint to read (3.1:1; this is 5.2:1).
const BASE = `
.ady { --ink: var(--jp-ui-font-color1, var(--ady-ink, #1f2328)); --paper: var(--jp-layout-color1, var(--ady-paper, #fff));
  --tint: color-mix(in srgb, var(--ink) 7%, var(--paper)); --soft: color-mix(in srgb, var(--ink) 76%, var(--paper));
  --edge: color-mix(in srgb, var(--ink) 18%, var(--paper)); --rim: color-mix(in srgb, var(--ink) 45%, var(--paper));
  --focus: var(--jp-brand-color1, var(--ady-focus, #1b6ec2)); --fill: #1b6ec2;
  --bad: var(--jp-error-color0, var(--ady-bad, #b3261e)); --good: var(--jp-success-color0, var(--ady-good, #1b5e20)); --warn: var(--jp-warn-color0, var(--ady-warn, #8a5a00));
  box-sizing: border-box; container-type: inline-size; display: flex; flex-direction: column; min-width: 0;
  font: 14px/1.5 var(--jp-ui-font-family, system-ui, sans-serif); color: var(--ink); accent-color: var(--fill); background: var(--paper); }
.ady *, .ady *::before, .ady *::after { box-sizing: border-box; }
.ady[hidden], .ady [hidden] { display: none !important; }
.ady h2 { margin: 0; font-size: 18px; line-height: 1.3; font-weight: 600; }
.ady h3 { margin: 0; font-size: 15px; line-height: 1.4; font-weight: 600; }
.ady p { margin: 0; }
.ady .soft { color: var(--soft); }
.ady .bad { color: var(--bad); } .ady .good { color: var(--good); }
.ady .row { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: center; }
.ady .grow { flex: 1 1 0; min-width: 0; }
.ady .end { margin-left: auto; }
.ady .bar { display: flex; flex-wrap: wrap; gap: 8px 14px; align-items: end; padding: 10px 12px; border-bottom: 1px solid var(--edge); }
.ady label { display: flex; flex-direction: column; gap: 2px; font-size: 12px; color: var(--soft); }
.ady label.check { flex-direction: row; align-items: center; gap: 6px; min-height: 34px; font-size: 14px; color: var(--ink); }
.ady input, .ady select, .ady textarea, .ady button { margin: 0; font: inherit; font-size: 14px; color: var(--ink); }
.ady input:not([type=checkbox], [type=radio], [type=file]), .ady select, .ady textarea, .ady button { min-height: 34px; padding: 5px 9px; background: var(--paper);
  border: 1px solid var(--rim); border-radius: 6px; }
.ady input[type=checkbox], .ady input[type=radio] { width: 16px; height: 16px; }
.ady textarea { line-height: 1.45; resize: vertical; }
.ady select { text-overflow: ellipsis; }
.ady button { padding: 5px 14px; white-space: nowrap; cursor: pointer; }
.ady button:hover { background: var(--tint); }
.ady button:disabled { opacity: .55; cursor: default; }
.ady button.main { background: var(--fill); border-color: var(--fill); color: #fff; font-weight: 600; }
.ady button.main:hover { background: #175ea6; }
.ady button.danger { color: var(--bad); border-color: var(--bad); }
.ady button.link { min-height: 0; padding: 0; border: 0; background: none; color: var(--focus); text-decoration: underline; text-underline-offset: 2px; white-space: normal; text-align: left; }
.ady button.small { min-height: 26px; padding: 1px 9px; font-size: 13px; }
.ady :focus-visible { outline: 2px solid var(--focus); outline-offset: 1px; }
.ady ::placeholder { color: var(--soft); opacity: 1; }
.ady table { border-collapse: collapse; width: 100%; font-size: 13px; }
.ady th, .ady td { padding: 6px 10px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--edge); overflow-wrap: anywhere; }
.ady th { color: var(--soft); font-weight: 600; white-space: nowrap; overflow-wrap: normal; }
.ady .number { text-align: right; font-variant-numeric: tabular-nums; }
.ady .chip { display: inline-block; padding: 0 8px; border: 1px solid var(--edge); border-radius: 10px; background: var(--tint); font-size: 12px; line-height: 20px; white-space: nowrap; }
.ady .empty { margin: 24px auto; padding: 0 12px; max-width: 34em; color: var(--soft); text-align: center; text-wrap: balance; }
.ady .notice { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: center; padding: 8px 12px; border: 1px solid var(--edge);
  border-left: 4px solid var(--focus); border-radius: 6px; background: var(--tint); }
.ady .notice.bad { color: var(--ink); border-color: var(--bad); background: color-mix(in srgb, var(--bad) 8%, var(--paper)); }
.ady .notice.warn { border-color: var(--warn); background: color-mix(in srgb, var(--warn) 10%, var(--paper)); }
.ady .notice > span { flex: 1 1 14em; overflow-wrap: anywhere; }
.ady progress { display: block; appearance: none; overflow: hidden; width: 100%; height: 8px; border: 0; border-radius: 4px; background: var(--edge); }
.ady progress::-webkit-progress-bar { background: var(--edge); }
.ady progress::-webkit-progress-value { background: var(--fill); }
.ady progress::-moz-progress-bar { background: var(--fill); }
.ady progress:indeterminate::-moz-progress-bar { background: transparent; }
.ady code, .ady pre { font-family: var(--jp-code-font-family, ui-monospace, monospace); font-size: 13px; }
.ady .visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.ady dialog { max-width: min(92vw, 46em); padding: 16px; color: var(--ink); background: var(--paper); border: 1px solid var(--rim); border-radius: 8px; }
.ady dialog p { margin: 8px 0 16px; }
.ady dialog > .content { max-height: 68vh; margin: 8px 0 16px; overflow: auto; }
.ady dialog::backdrop { background: rgb(0 0 0 / 40%); }
.ady-back { align-items: flex-start; padding: 8px 12px 0; }
.ady-cell:focus { outline: none; }
@media (prefers-reduced-motion: reduce) { .ady * { transition: none !important; animation: none !important; } }
`;
