// Wide: a table. Narrow: each key is a small card.

export const KEYS_STYLE = `
.ady-keys { gap: 14px; padding: 16px; }
.ady-keys:focus { outline: none; }
.ady-keys .about { max-width: 60em; text-wrap: pretty; }
.ady-keys .empty { display: flex; flex-direction: column; gap: 16px; align-items: center; }
.ady-keys .empty code { overflow-wrap: anywhere; }
.ady-keys table { table-layout: fixed; }
.ady-keys thead th { font-size: 12px; }
.ady-keys thead th:nth-child(1) { width: 15%; } .ady-keys thead th:nth-child(2) { width: 19%; } .ady-keys thead th:nth-child(4) { width: 20.5%; } .ady-keys thead th:nth-child(5) { width: 23.5%; }
.ady-keys td, .ady-keys tbody th { padding: 8px 10px; }
.ady-keys tbody th { color: var(--ink); font-weight: 400; white-space: normal; overflow-wrap: anywhere; }
.ady-keys thead th:first-child, .ady-keys tbody th { padding-left: 0; }
.ady-keys thead th:last-child, .ady-keys td:last-child { padding-right: 0; }
.ady-keys tbody th > *, .ady-keys td > span, .ady-keys td > time { display: block; }
.ady-keys th code { font-size: 12px; color: var(--soft); }
.ady-keys td > .soft { font-size: 12px; }
.ady-keys .ended { color: var(--soft); } .ady-keys .ended strong { font-weight: 400; color: var(--soft); }
.ady-keys .chip.good { color: var(--good); } .ady-keys .chip.warn { color: var(--warn); }
.ady-keys progress { margin: 4px 0; height: 6px; }
.ady-keys .label { display: none !important; }
.ady-keys .actions .row { gap: 6px 8px; justify-content: flex-end; }
.ady-keys .more { align-self: flex-start; }
.ady-keys dialog.key { width: 50em; max-width: min(92vw, 50em); max-height: 92vh; overflow-y: auto; }
.ady-keys dialog.key > * + * { margin-top: 12px; }
.ady-keys dialog.key p { margin-bottom: 0; } .ady-keys dialog.key .field p { margin: 0; }
.ady-keys dialog.key .form { margin-top: 12px; }
.ady-keys dialog [role=alert]:empty { display: none; }
.ady-keys h4 { margin: 0; font-size: 13px; font-weight: 600; }
.ady-keys .chosen { margin: 6px 0 0; padding: 0; list-style: none; }
.ady-keys .chosen li { display: flex; gap: 8px; align-items: center; justify-content: space-between; padding: 4px 0; overflow-wrap: anywhere; }
.ady-keys .chosen span { min-width: 0; }
.ady-keys .once { padding: 10px 12px; border: 1px solid var(--rim); border-radius: 6px; background: var(--tint); }
.ady-keys .secret { flex: 1 1 16em; word-break: break-all; }
.ady-keys .warning { color: var(--bad); font-weight: 600; }
.ady-keys .use pre { margin: 0 0 8px; padding: 10px 12px; border-radius: 6px; background: var(--tint); white-space: pre-wrap; word-break: break-all; line-height: 1.45; }
.ady-keys .use > * + * { margin-top: 8px; }
@container (max-width: 860px) {
  .ady-keys thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .ady-keys table, .ady-keys tbody, .ady-keys tbody th, .ady-keys td { display: block; width: auto; padding: 0; border: 0; }
  .ady-keys tbody { display: flex; flex-direction: column; gap: 10px; }
  .ady-keys tbody tr { display: grid; grid-template-columns: minmax(0, 1fr); gap: 8px; padding: 12px; border: 1px solid var(--edge); border-radius: 8px; }
  .ady-keys .label { display: block !important; font-size: 12px; color: var(--soft); }
  .ady-keys .actions .row { justify-content: flex-start; }
}
@container (max-width: 860px) and (min-width: 480px) {
  .ady-keys tbody tr { grid-template-columns: 1fr 1fr; gap: 10px 20px; }
  .ady-keys .actions { grid-column: 1 / -1; }
}
`;
