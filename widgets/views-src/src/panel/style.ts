// One column in a sidebar, two where there is room.

export const PANEL_STYLE = `
.ady-panel { gap: 12px; padding: 12px; }
.ady-panel .find input { width: 100%; }
.ady-panel .parts { display: grid; grid-template-columns: minmax(0, 1fr); gap: 4px; align-items: start; }
.ady-panel .part { min-width: 0; padding: 6px 0 10px; border-bottom: 1px solid var(--edge); }
.ady-panel .part:last-child { border-bottom: 0; }
.ady-panel .head { display: flex; flex-wrap: wrap; gap: 2px 6px; align-items: center; min-height: 34px; }
.ady-panel .head > .small { flex: none; }
.ady-panel h2 { min-width: 0; font-size: 14px; }
.ady-panel .head .row { gap: 6px; flex-wrap: nowrap; }
.ady-panel button.fold { display: flex; gap: 6px; align-items: center; max-width: 100%; min-height: 30px; padding: 2px 2px 2px 4px; border: 0; background: none; font-weight: 600; }
.ady-panel button.fold:hover { background: var(--tint); }
.ady-panel button.fold::before { content: ""; width: 6px; height: 6px; margin: 0 3px; border: solid var(--soft); border-width: 0 2px 2px 0; transform: translateY(-2px) rotate(45deg); transition: transform .1s; }
.ady-panel button.fold[aria-expanded=false]::before { transform: translateX(-1px) rotate(-45deg); }
.ady-panel button.fold > :first-child { min-width: 0; overflow: hidden; text-overflow: ellipsis; }
.ady-panel .count { flex: none;  color: var(--soft); font-size: 13px; font-weight: 400; font-variant-numeric: tabular-nums; }
.ady-panel ul { margin: 2px -8px 0 0; padding: 0; list-style: none; }
.ady-panel li { display: flex; flex-wrap: wrap; gap: 0 6px; align-items: center; }
.ady-panel .acts { display: flex; flex: none; gap: 6px; padding: 3px 8px 3px 8px; } .ady-panel .acts:not(:has(:not([hidden]))) { display: none; }
.ady-panel .line { display: block; flex: 1 1 14em; min-width: 0; min-height: 0; padding: 5px 8px; border: 0; border-radius: 6px; background: none; text-align: left; white-space: normal; }
.ady-panel button.line:hover { background: var(--tint); }
.ady-panel .first { display: flex; flex-wrap: wrap; gap: 2px 8px; align-items: baseline; }
.ady-panel .title { flex: 1 1 6em; min-width: 0; overflow-wrap: anywhere; font-weight: 500; line-height: 1.4; }
.ady-panel .facts { display: block; color: var(--soft); font-size: 12px; line-height: 1.45; overflow-wrap: anywhere; }
.ady-panel .chip { flex: 0 1 auto; max-width: 100%; color: var(--soft); white-space: normal; }
.ady-panel .chip::before { content: ""; display: inline-block; width: 7px; height: 7px; margin-right: 6px; border-radius: 50%; background: var(--rim); }
.ady-panel .chip.good::before { background: var(--good); } .ady-panel .chip.bad::before { background: var(--bad); } .ady-panel .chip.busy::before { background: var(--focus); }
.ady-panel .chip.bad { color: var(--bad); }
.ady-panel .lock { display: inline-flex; flex: none; gap: 3px; align-items: center; color: var(--warn); font-size: 12px; }
.ady-panel .lock svg { width: 13px; height: 13px; fill: currentColor; }
.ady-panel progress { height: 6px; margin: 5px 0 3px; }
.ady-panel .none { padding: 4px 8px; color: var(--soft); font-size: 13px; text-wrap: pretty; }
.ady-panel .foot { padding: 0 8px; gap: 4px 16px; }
.ady-panel .foot button { padding: 4px 0; font-size: 13px; }
@container (min-width: 700px) {
  .ady-panel .find { max-width: 26em; }
  .ady-panel .parts { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 16px; }
  .ady-panel .part, .ady-panel .part:last-child { padding: 10px 12px 12px; border: 1px solid var(--edge); border-radius: 8px; }
}
`;
