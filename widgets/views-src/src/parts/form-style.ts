// How forms look: fields side by side where there is room for two.

export const FORM_STYLE = `
.ady .fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19em), 1fr)); gap: 16px 24px; align-items: start; }
.ady .field { display: flex; flex-direction: column; gap: 4px; min-width: 0; }
.ady .field.wide { grid-column: 1 / -1; }
.ady .field > label { font-size: 13px; font-weight: 600; color: var(--ink); }
.ady .field fieldset { display: flex; flex-wrap: wrap; gap: 2px 18px; min-width: 0; margin: 0; padding: 0; border: 0; }
.ady .field legend { padding: 0 0 2px; font-size: 13px; font-weight: 600; }
.ady .field > label.check { font-size: 14px; font-weight: 400; }
.ady .field input:not([type=checkbox]), .ady .field select { width: 100%; }
.ady .field select:disabled { opacity: .55; }
.ady .field [aria-invalid] { border-color: var(--bad); box-shadow: 0 0 0 1px var(--bad); }
.ady .field .help, .ady .field .hint { font-size: 12px; line-height: 1.4; color: var(--soft); overflow-wrap: anywhere; }
.ady .field .hint { font-variant-numeric: tabular-nums; }
.ady .field .hint.warns { color: var(--warn); font-weight: 600; }
.ady .field .was { width: fit-content; padding: 0 8px; border-left: 3px solid var(--focus); font-size: 12px; background: var(--tint); overflow-wrap: anywhere; }
.ady .field .error { font-size: 13px; color: var(--bad); overflow-wrap: anywhere; }
.ady .field .error::before { content: "⚠ "; }
.ady .measured { display: flex; gap: 8px; align-items: center; }
.ady .measured > :first-child { flex: 1; min-width: 0; }
.ady details { border-top: 1px solid var(--edge); padding-top: 12px; }
.ady summary { width: fit-content; padding: 4px 0; font-weight: 600; cursor: pointer; }
.ady details[open] > summary { margin-bottom: 12px; }
.ady .form { display: flex; flex-direction: column; gap: 20px; }
.ady .form > details > section + section { margin-top: 20px; }
.ady .form h3 { padding-bottom: 8px; }
.ady .picker { position: relative; }
.ady .picker input { padding-right: 28px; text-overflow: ellipsis; }
.ady .picker::after { content: ""; position: absolute; right: 12px; top: 13px; width: 7px; height: 7px; pointer-events: none;
  border: solid var(--soft); border-width: 0 1.5px 1.5px 0; transform: rotate(45deg) translate(-1px, -1px); }
.ady .picker ul { position: absolute; z-index: 10; left: 0; right: 0; top: calc(100% + 2px); margin: 0; padding: 4px; max-height: 264px; overflow-y: auto; list-style: none;
  background: var(--paper); border: 1px solid var(--rim); border-radius: 6px; box-shadow: 0 6px 20px rgb(0 0 0 / 18%); }
.ady .picker li { display: flex; flex-wrap: wrap; gap: 0 10px; justify-content: space-between; padding: 6px 8px; border-radius: 4px; overflow-wrap: anywhere; }
.ady .picker li[role=option] { cursor: pointer; }
.ady .picker li[role=option]:hover { background: var(--tint); }
.ady .picker li[aria-selected=true] { background: var(--fill); color: #fff; }
.ady .picker li[aria-selected=true] .soft { color: #fff; }
.ady .picker li.more { color: var(--soft); }
`;
