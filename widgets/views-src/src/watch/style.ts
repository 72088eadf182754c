// How the page of a job looks.

export const WATCH_STYLE = `
.ady-watch { padding: 14px clamp(10px, 3%, 16px) 24px; }
.ady-watch .page { display: flex; flex-direction: column; gap: 16px; width: 100%; max-width: 1280px; margin: 0 auto; }
.ady-watch .page > [role=alert]:empty { margin-bottom: -16px; }
.ady-watch header { display: flex; flex-direction: column; gap: 8px; }
.ady-watch h2 { overflow-wrap: anywhere; }
.ady-watch .top > .grow { flex-basis: 18em; }
.ady-watch .menu > summary { min-height: 34px; padding: 5px 12px; font-size: 14px; }
.ady-watch .chip { font-weight: 600; }
.ady-watch .chip.training, .ady-watch .chip.queued { border-color: var(--focus); color: var(--focus); }
.ady-watch .chip.completed { border-color: var(--good); color: var(--good); }
.ady-watch .chip.failed { border-color: var(--bad); color: var(--bad); }
.ady-watch .chip.cancelling { border-color: var(--warn); color: var(--warn); }
.ady-watch .headway { display: flex; flex-direction: column; gap: 2px; font-variant-numeric: tabular-nums; }
.ady-watch progress { margin: 4px 0 2px; }
.ady-watch .failure { display: flex; flex-direction: column; align-items: flex-start; gap: 6px; padding: 14px 16px; overflow-wrap: anywhere; }
.ady-watch .failure .row { margin-top: 4px; }
.ady-watch .none { display: flex; flex-direction: column; gap: 14px; align-items: center; }
.ady-watch .curves { display: flex; flex-direction: column; gap: 12px; } .ady-watch .curves > details { padding: 0; border: 0; } .ady-watch .curves > details > summary { width: fit-content; padding: 4px 0; font-weight: 600; cursor: pointer; }
.ady-watch .charts { display: grid; align-items: start; gap: 12px; grid-template-columns: minmax(0, 1fr); }
/* Columns, not a grid: the options of a full task are as long as all else together. */
.ady-watch .facts { column-gap: 28px; }
.ady-watch .facts > section { break-inside: avoid; padding-bottom: 20px; }
.ady-watch .facts h3 { padding-bottom: 4px; }
.ady-watch .scrolls { overflow-x: auto; } .ady-watch .checkpoints table { min-width: 44em; } .ady-watch .checkpoints tbody th { color: var(--ink); }
.ady-watch .log { display: flex; flex-direction: column; gap: 8px; }
.ady-watch .facts th { width: 40%; white-space: normal; }
.ady-watch .facts th code { display: block; font-size: 12px; font-weight: 400; overflow-wrap: anywhere; }
.ady-watch .lines { max-height: 260px; padding: 8px 12px; overflow: auto; border: 1px solid var(--edge); border-radius: 8px;
  font: 13px/1.55 var(--jp-code-font-family, ui-monospace, monospace); }
.ady-watch .line { display: flex; gap: 12px; }
.ady-watch .line time { flex: none; color: var(--soft); font-variant-numeric: tabular-nums; }
.ady-watch .level { flex: none; width: 4.5em; color: var(--soft); }
.ady-watch .warning .level { color: var(--warn); font-weight: 600; } .ady-watch .error .level { color: var(--bad); font-weight: 600; }
.ady-watch .message { min-width: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
@container (min-width: 720px) { .ady-watch .charts { grid-template-columns: repeat(2, minmax(0, 1fr)); } .ady-watch .facts { columns: 2; } }
@container (max-width: 420px) { .ady-watch .line { flex-wrap: wrap; gap: 0 12px; } .ady-watch .message { flex-basis: 100%; } }
`;
