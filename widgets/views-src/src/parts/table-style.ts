// How a virtual table looks. Narrow is what its nearest container says.

export const TABLE_STYLE = `
.ady .virtual { position: relative; min-height: 0; overflow: auto; overscroll-behavior: contain; overflow-anchor: none; font-size: 13px;
  border: 1px solid var(--edge); border-radius: 6px; background: var(--paper); contain: strict; }
.ady .virtual .heads { position: sticky; top: 0; z-index: 1; background: var(--paper); border-bottom: 1px solid var(--edge); }
.ady .virtual .rows { position: relative; contain: layout style; }
.ady .virtual .cells { display: grid; grid-template-columns: var(--wide); align-items: center; height: var(--row); }
.ady .virtual .rows > .cells { position: absolute; left: 0; right: 0; border-bottom: 1px solid var(--edge); cursor: pointer; contain: strict; height: var(--row); }
.ady .virtual .cells > div { min-width: 0; padding: 0 10px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.ady .virtual .cells > .pick { padding: 0; text-align: center; font-size: 17px; line-height: var(--row); color: var(--soft); } .ady .virtual .rows > .cells > .pick:hover { color: var(--ink); background: var(--tint); }
.ady .virtual .head > div { color: var(--soft); font-weight: 600; }
.ady .virtual .rows > .cells:hover { background: var(--tint); }
.ady .virtual .rows > .cells[aria-selected=true] { background: color-mix(in srgb, var(--fill) 14%, var(--paper)); box-shadow: inset 3px 0 var(--fill); }
.ady .virtual:focus-visible .cells.active { outline: 2px solid var(--focus); outline-offset: -2px; }
.ady .virtual:focus-visible { outline-offset: -1px; }
.ady .virtual[aria-busy=true] .rows { opacity: .55; }
.ady .virtual .waiting > div::before { content: ""; display: block; width: 70%; height: 9px; border-radius: 4px; background: var(--tint); }
.ady .virtual .waiting > .number::before { margin-left: auto; }
.ady .virtual .sort { display: inline-flex; align-items: baseline; min-height: 0; max-width: 100%; padding: 2px 0; border: 0; background: none; font: inherit; color: inherit; }
.ady .virtual .sort > span { min-width: 0; overflow: hidden; text-overflow: ellipsis; } .ady .virtual .sort::after { flex: none; margin-left: 2px; }
.ady .virtual .sort:hover { color: var(--ink); text-decoration: underline; }
.ady .virtual [aria-sort=ascending] .sort::after { content: "▲" / ""; font-size: 10px; } .ady .virtual [aria-sort=descending] .sort::after { content: "▼" / ""; font-size: 10px; }
@container (max-width: 620px) { .ady .virtual .cells { grid-template-columns: var(--narrow); } .ady .virtual .wide { display: none; } }
`;
