// Wide: tables whose columns stand below each other. Narrow: each row is a small card.

export const JOBS_STYLE = `
.ady-jobs { gap: 16px; padding: 16px; }
.ady-jobs input[type=search] { flex: 1 1 12em; max-width: 26em; min-width: 0; }
.ady-jobs .shown, .ady-jobs .dashboard, .ady-jobs .comparison { display: flex; flex-direction: column; gap: 16px; min-width: 0; }
/* What was done is said where the reader is, however far down. */
.ady-jobs > [role=alert], .ady-jobs .dashboard > [role=status] { position: sticky; top: 8px; z-index: 6; }
.ady-jobs > [role=alert]:empty, .ady-jobs .dashboard > [role=status]:empty { margin-bottom: -16px; }
.ady-jobs :is([role=alert], .dashboard > [role=status]) > .notice { box-shadow: 0 4px 16px rgb(0 0 0 / 16%); }
.ady-jobs .empty { display: flex; flex-direction: column; gap: 16px; align-items: center; }
.ady-jobs .empty .end { margin-left: 0; }
.ady-jobs .sections { display: flex; flex-direction: column; gap: 20px; }
.ady-jobs h3 .count { font-weight: 400; font-size: 13px; margin-left: 4px; }
.ady-jobs h3 { margin-bottom: 4px; }
.ady-jobs .jobs { table-layout: fixed; }
.ady-jobs .jobs thead th { font-size: 12px; }
.ady-jobs .jobs thead th:nth-child(1) { width: 18%; } .ady-jobs .jobs thead th:nth-child(2) { width: 20%; } .ady-jobs .jobs thead th:nth-child(4) { width: 10%; }
.ady-jobs .jobs thead th:nth-child(5) { width: 27%; }
.ady-jobs .jobs td, .ady-jobs .jobs tbody th { padding: 8px 10px; }
.ady-jobs .jobs tbody th { color: var(--ink); font-weight: 400; white-space: normal; overflow-wrap: anywhere; }
.ady-jobs .jobs thead th:first-child, .ady-jobs .jobs tbody th { padding-left: 0; }
.ady-jobs .jobs thead th:last-child, .ady-jobs .jobs td:last-child { padding-right: 0; }
.ady-jobs .jobs tbody th > span, .ady-jobs .jobs td > span, .ady-jobs .jobs th strong { display: block; }
.ady-jobs .jobs td .row { gap: 6px 8px; }
.ady-jobs .text { overflow-wrap: anywhere; min-width: 0; }
.ady-jobs .actions .row { justify-content: flex-end; }
.ady-jobs progress { margin: 6px 0 4px; }
.ady-jobs .jobs .soft, .ady-jobs .count { font-size: 12px; }
.ady-jobs .named { display: flex; gap: 8px; align-items: flex-start; } .ady-jobs .named > div { min-width: 0; } .ady-jobs .named > input { flex: none; margin-top: 2px; }
.ady-jobs .named > div > * { display: block; }
.ady-jobs .chosen { position: sticky; bottom: 0; z-index: 5; display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: center; padding: 10px 14px; background: var(--paper); border: 1px solid var(--focus); border-radius: 8px; box-shadow: 0 4px 16px rgb(0 0 0 / 16%); overflow-wrap: anywhere; }
.ady-jobs .chosen > .grow { flex-basis: 14em; }
.ady-jobs .comparison h2:focus { outline: none; }
.ady-jobs .legend { display: flex; flex-wrap: wrap; gap: 6px 20px; margin: 0; padding: 0; list-style: none; }
.ady-jobs .legend li { display: flex; gap: 8px; align-items: center; min-width: 0; overflow-wrap: anywhere; } .ady-jobs .legend .swatch { flex: none; margin: 0; }
.ady-jobs .charts { display: grid; align-items: start; gap: 12px; grid-template-columns: minmax(0, 1fr); }
.ady-jobs [aria-pressed=true] { background: var(--tint); border-color: var(--focus); color: var(--focus); font-weight: 600; }
.ady-jobs .scrolls { overflow-x: auto; }
.ady-jobs .differences table { min-width: 32em; } .ady-jobs .differences thead th { white-space: normal; color: var(--ink); overflow-wrap: anywhere; }
.ady-jobs .differences tbody th { white-space: normal; } .ady-jobs .differences .part { padding-top: 14px; color: var(--ink); font-size: 14px; } .ady-jobs .differences .differs td { font-weight: 600; }
.ady-jobs .jobs .label { display: none !important; }
.ady-jobs .more { margin-top: 8px; }
@container (max-width: 860px) {
  .ady-jobs .jobs thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .ady-jobs .jobs, .ady-jobs .jobs tbody, .ady-jobs .jobs tr, .ady-jobs .jobs tbody th, .ady-jobs .jobs td { display: block; width: auto; padding: 0; border: 0; }
  .ady-jobs .jobs tbody { display: flex; flex-direction: column; gap: 10px; }
  .ady-jobs .jobs tbody tr { display: flex; flex-direction: column; gap: 8px; padding: 12px; border: 1px solid var(--edge); border-radius: 8px; }
  .ady-jobs .jobs .label { display: block !important; font-size: 12px; color: var(--soft); }
  .ady-jobs .actions .row { justify-content: flex-start; }
}
@container (max-width: 860px) and (min-width: 480px) {
  .ady-jobs .jobs tbody tr { display: grid; grid-template-columns: 1fr 1fr; gap: 10px 20px; }
  .ady-jobs .actions { grid-column: 1 / -1; }
}
@container (max-width: 479px) {
  .ady-jobs .since { display: flex !important; gap: 8px; align-items: baseline; }
}
@container (min-width: 720px) { .ady-jobs .charts { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
`;
