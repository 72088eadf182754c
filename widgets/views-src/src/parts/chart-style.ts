// How charts look. Lines differ in dash too, and the first two in brightness, not in colour alone.

export const CHART_STYLE = `
.ady-chart, .ady-lines { --line1: #1b6ec2; --line2: #b35900; --line3: #1b7f3b; --line4: #8a3fa8; --line5: #a8324a; --line6: #5c6b00; }
.ady-chart { display: flex; flex-direction: column; gap: 6px; min-width: 0; margin: 0; padding: 12px 14px; border: 1px solid var(--edge); border-radius: 8px; }
@supports (color: oklch(from red l c h)) {
  .ady-chart, .ady-lines { --line1: oklch(from var(--ink) calc(.55 + l * .18) .14 252); --line2: oklch(from var(--ink) calc(.55 + l * .22) .14 58);
    --line3: oklch(from var(--ink) calc(.5 + l * .25) .13 150); --line4: oklch(from var(--ink) calc(.5 + l * .22) .17 315); --line5: oklch(from var(--ink) calc(.52 + l * .2) .17 15); --line6: oklch(from var(--ink) calc(.52 + l * .26) .12 110); } }
.ady-chart figcaption { display: flex; flex-wrap: wrap; gap: 0 12px; align-items: baseline; min-height: 21px; }
.ady-chart .title { font-size: 15px; font-weight: 600; }
.ady-chart .about { margin: 0; font-size: 12px; color: var(--soft); }
.ady-chart .values { display: flex; flex-wrap: wrap; gap: 0 12px; margin-left: auto; font-size: 13px; font-variant-numeric: tabular-nums; }
.ady-chart .values b { font-weight: 600; }
:is(.ady-chart, .ady-lines) .swatch { width: 22px; height: 6px; margin-right: 6px; vertical-align: 2px; stroke: currentColor; stroke-width: 2; }
:is(.ady-chart, .ady-lines) .line1 { color: var(--line1); } :is(.ady-chart, .ady-lines) .line2 { color: var(--line2); } :is(.ady-chart, .ady-lines) .line3 { color: var(--line3); }
:is(.ady-chart, .ady-lines) .line4 { color: var(--line4); } :is(.ady-chart, .ady-lines) .line5 { color: var(--line5); } :is(.ady-chart, .ady-lines) .line6 { color: var(--line6); }
.ady-chart [role=img] { min-height: 190px; overflow: hidden; color: var(--soft); border: 0 solid var(--edge); }
.ady-chart .u-over { cursor: crosshair; }
.ady-chart .u-select { background: color-mix(in srgb, var(--line1) 22%, transparent); }
.ady-chart .u-hz .u-cursor-x { border-color: var(--rim); }
.ady-chart .row button { border-color: var(--edge); color: var(--soft); }
.ady-chart .row [aria-pressed=true] { background: var(--tint); border-color: var(--focus); color: var(--focus); font-weight: 600; }
.ady-chart .points { max-height: 300px; overflow: auto; }
.ady-chart caption { padding: 6px 0; color: var(--soft); text-align: left; }
`;
