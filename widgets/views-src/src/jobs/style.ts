// Wide: tables whose columns stand below each other. Narrow: each row is a small card.

export const JOBS_STYLE = `
.ady-jobs { gap: 16px; padding: 16px; }
.ady-jobs input[type=search] { flex: 1 1 12em; max-width: 26em; min-width: 0; }
.ady-jobs .empty { display: flex; flex-direction: column; gap: 16px; align-items: center; }
.ady-jobs .empty .end { margin-left: 0; }
.ady-jobs .sections { display: flex; flex-direction: column; gap: 20px; }
.ady-jobs h3 .count { font-weight: 400; font-size: 13px; margin-left: 4px; }
.ady-jobs h3 { margin-bottom: 4px; }
.ady-jobs table { table-layout: fixed; }
.ady-jobs thead th { font-size: 12px; }
.ady-jobs thead th:nth-child(1) { width: 18%; } .ady-jobs thead th:nth-child(2) { width: 21%; } .ady-jobs thead th:nth-child(4) { width: 14%; }
.ady-jobs thead th:nth-child(5) { width: 20%; }
.ady-jobs td, .ady-jobs tbody th { padding: 8px 10px; }
.ady-jobs tbody th { color: var(--ink); font-weight: 400; white-space: normal; overflow-wrap: anywhere; }
.ady-jobs thead th:first-child, .ady-jobs tbody th { padding-left: 0; }
.ady-jobs thead th:last-child, .ady-jobs td:last-child { padding-right: 0; }
.ady-jobs tbody th > span, .ady-jobs td > span, .ady-jobs th strong { display: block; }
.ady-jobs td .row { gap: 6px 8px; }
.ady-jobs .text { overflow-wrap: anywhere; min-width: 0; }
.ady-jobs .actions .row { justify-content: flex-end; }
.ady-jobs progress { margin: 6px 0 4px; }
.ady-jobs .soft { font-size: 12px; }
.ady-jobs .label { display: none !important; }
.ady-jobs .more { margin-top: 8px; }
@container (max-width: 860px) {
  .ady-jobs thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .ady-jobs table, .ady-jobs tbody, .ady-jobs tr, .ady-jobs tbody th, .ady-jobs td { display: block; width: auto; padding: 0; border: 0; }
  .ady-jobs tbody { display: flex; flex-direction: column; gap: 10px; }
  .ady-jobs tbody tr { display: flex; flex-direction: column; gap: 8px; padding: 12px; border: 1px solid var(--edge); border-radius: 8px; }
  .ady-jobs .label { display: block !important; font-size: 12px; color: var(--soft); }
  .ady-jobs .actions .row { justify-content: flex-start; }
}
@container (max-width: 860px) and (min-width: 480px) {
  .ady-jobs tbody tr { display: grid; grid-template-columns: 1fr 1fr; gap: 10px 20px; }
  .ady-jobs .actions { grid-column: 1 / -1; }
}
@container (max-width: 479px) {
  .ady-jobs .since { display: flex !important; gap: 8px; align-items: baseline; }
}
`;
