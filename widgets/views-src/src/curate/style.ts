export const CURATE_STYLE = `
.ady-curate { padding: 14px 16px 20px; gap: 12px; }
.ady-curate .body, .ady-curate .datasets, .ady-curate .files, .ady-curate .records, .ady-curate .versions, .ady-curate .dataset { display: flex; flex-direction: column; gap: 12px; min-width: 0; }
.ady-curate > [role=alert]:empty { margin-bottom: -12px; }
.ady-curate .dataset > .head { display: flex; flex-direction: column; gap: 4px; }
.ady-curate .dataset > .head .back { align-self: flex-start; }
.ady-curate .dataset > .head h2 { overflow-wrap: anywhere; }
.ady-curate .about { align-items: flex-start; } .ady-curate .about .text { white-space: pre-wrap; overflow-wrap: anywhere; }
.ady-curate .chip.restricted { border-color: var(--bad); color: var(--bad); } .ady-curate .chip.open { border-color: var(--good); color: var(--good); }
.ady-curate .changing, .ady-curate .card { display: flex; flex-direction: column; gap: 12px; }
.ady-curate .card { padding: 14px 16px; border: 1px solid var(--edge); border-radius: 8px; }
.ady-curate .card > label, .ady-curate .changing > label { max-width: 44em; } .ady-curate .card > label > input { max-width: 24em; }
.ady-curate select { max-width: 100%; }
.ady-curate fieldset { margin: 0; padding: 0; border: 0; min-width: 0; display: flex; flex-direction: column; gap: 6px; } .ady-curate legend { padding: 0; margin-bottom: 4px; font-size: 12px; color: var(--soft); }
.ady-curate label.choice { flex-direction: row; gap: 8px; align-items: flex-start; font-size: 14px; color: var(--ink); }
.ady-curate label.choice input { margin-top: 3px; flex: none; } .ady-curate label.choice strong { display: block; font-weight: 500; }
.ady-curate .hint { font-size: 12px; color: var(--soft); }
.ady-curate [aria-invalid] { border-color: var(--bad) !important; } .ady-curate .field-problem { font-size: 13px; }
.ady-curate .wide-field { flex: 1 1 14em; max-width: 30em; }
.ady-curate .filters { align-items: end; } .ady-curate .filters label { min-width: 0; } .ady-curate .filters select { width: 100%; max-width: 14em; }
.ady-curate th.name { font-weight: 500; color: var(--ink); white-space: normal; overflow-wrap: anywhere; } .ady-curate th.name .about { font-weight: 400; font-size: 12px; display: -webkit-box; -webkit-line-clamp: 1; -webkit-box-orient: vertical; overflow: hidden; }
.ady-curate tbody tr:hover { background: var(--tint); } .ady-curate tbody th, .ady-curate td { vertical-align: middle; }
.ady-curate td .actions { flex-wrap: nowrap; justify-content: flex-end; }
.ady-curate .digest { display: inline-flex; gap: 8px; align-items: center; white-space: nowrap; }
.ady-curate [aria-disabled=true] { opacity: .55; cursor: default; }
.ady-curate .tools .count { font-weight: 600; }
.ady-curate .split { display: grid; gap: 12px; grid-template-columns: minmax(0, 1fr); }
.ady-curate .split .list { container-type: inline-size; min-width: 0; }
.ady-curate .virtual { height: clamp(260px, 58vh, 760px); }
.ady-curate .records.none .list { display: none; }
.ady-curate .narrow { display: none; }
.ady-curate .panel { display: flex; flex-direction: column; min-width: 0; border: 1px solid var(--edge); border-radius: 6px; }
.ady-curate .panel > header { flex-wrap: nowrap; padding: 8px 12px; border-bottom: 1px solid var(--edge); } .ady-curate .panel h3 { white-space: nowrap; } .ady-curate .panel h3:focus { outline: none; }
.ady-curate .panel .chip { overflow: hidden; text-overflow: ellipsis; }
.ady-curate .panel-body { display: flex; flex-direction: column; gap: 12px; padding: 12px; overflow-y: auto; }
.ady-curate .panel .actions { padding: 10px 12px; border-top: 1px solid var(--edge); } .ady-curate .panel .status:not(:empty) { padding: 8px 12px; color: var(--soft); } .ady-curate .panel .status.warn { color: var(--warn); font-weight: 600; }
.ady-curate .bubbles { display: flex; flex-direction: column; gap: 10px; } .ady-curate .answers { display: flex; flex-wrap: wrap; gap: 10px; } .ady-curate .answers .bubble { flex: 1 1 14em; }
.ady-curate .bubble { max-width: 88%; min-width: 0; padding: 7px 12px; border-radius: 12px 12px 12px 3px; background: var(--tint); align-self: flex-start; }
.ady-curate .bubble.user { align-self: flex-end; border-radius: 12px 12px 3px 12px; background: color-mix(in srgb, var(--fill) 16%, var(--paper)); }
.ady-curate .bubble.system, .ady-curate .bubble.tool { max-width: 100%; align-self: stretch; border-radius: 6px; background: none; border: 1px dashed var(--rim); }
.ady-curate .who { display: block; font-size: 12px; color: var(--soft); } .ady-curate .said { white-space: pre-wrap; overflow-wrap: anywhere; }
.ady-curate .both { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); } .ady-curate h4 { margin: 0 0 6px; font-size: 13px; color: var(--soft); }
.ady-curate .editor, .ady-curate .editor .texts { display: flex; flex-direction: column; gap: 12px; } .ady-curate .editor[inert] { opacity: .6; }
.ady-curate .message { display: flex; flex-direction: column; gap: 6px; } .ady-curate .message .tools { gap: 4px; } .ady-curate .message .row { flex-wrap: nowrap; } .ady-curate .message select { min-height: 28px; padding: 2px 6px; font-size: 13px; }
.ady-curate .editor textarea { width: 100%; field-sizing: content; min-height: 64px; max-height: 40vh; } .ady-curate .editor .json { font-family: var(--jp-code-font-family, ui-monospace, monospace); font-size: 13px; field-sizing: fixed; max-height: none; }
.ady-curate .history summary { cursor: pointer; width: fit-content; color: var(--soft); } .ady-curate .history ol { margin: 8px 0 0; padding: 0; list-style: none; } .ady-curate .history li { display: flex; flex-wrap: wrap; gap: 4px 10px; padding: 4px 0; border-bottom: 1px solid var(--edge); font-size: 13px; }
.ady-curate .history time { margin-left: auto; }
.ady-curate .uploads { display: flex; flex-direction: column; gap: 10px; }
.ady-curate .drop { display: flex; flex-direction: column; gap: 2px; align-items: center; padding: 22px 14px; border: 2px dashed var(--rim); border-radius: 10px; white-space: normal; text-align: center; }
.ady-curate .drop.over, .ady-curate .drop:hover { border-color: var(--fill); background: color-mix(in srgb, var(--fill) 8%, var(--paper)); } .ady-curate .drop strong { font-weight: 600; }
.ady-curate .format { flex-direction: row; gap: 8px; align-items: center; flex-wrap: wrap; }
.ady-curate .sending { display: flex; flex-direction: column; gap: 8px; margin: 0; padding: 0; list-style: none; } .ady-curate .sending:empty { display: none; }
.ady-curate .upload progress { margin-top: 4px; } .ady-curate .upload strong { overflow-wrap: anywhere; }
.ady-curate .notice.good { color: var(--ink); border-left-color: var(--good); }
.ady-curate .problems { max-height: 240px; overflow: auto; background: var(--paper); border: 1px solid var(--edge); border-radius: 6px; }
.ady-curate .report { display: grid; grid-template-columns: repeat(auto-fill, minmax(176px, 1fr)); gap: 10px 18px; margin: 0; } .ady-curate dt { font-size: 12px; color: var(--soft); } .ady-curate dd { margin: 0; overflow-wrap: anywhere; }
.ady-curate .details { display: flex; flex-direction: column; gap: 12px; padding: 14px 16px; border: 1px solid var(--edge); border-radius: 8px; } .ady-curate .details .virtual { height: clamp(220px, 42vh, 560px); } .ady-curate .details h3:focus { outline: none; }
.ady-curate dialog[open] { display: flex; flex-direction: column; gap: 12px; } .ady-curate dialog ul { margin: 0; padding-left: 20px; } .ady-curate dialog .row { justify-content: flex-end; }
.ady-curate .review, .ady-curate .splits, .ady-curate .queue, .ady-curate .filtering, .ady-curate .sources, .ady-curate .diff, .ady-curate .lineage, .ady-curate .mapping, .ady-curate .record-lineage, .ady-curate .lengths, .ady-curate .bad-records, .ady-curate .fields { display: flex; flex-direction: column; gap: 12px; min-width: 0; }
.ady-curate .details > p:empty, .ady-curate .set:empty, .ady-curate .facts:empty { display: none; }
.ady-curate .filtering { gap: 8px; } .ady-curate .filters.more { padding: 10px 12px; border: 1px solid var(--edge); border-radius: 8px; background: color-mix(in srgb, var(--tint) 50%, var(--paper)); } .ady-curate .filters label.short { flex: 0 1 9.5em; } .ady-curate .filters label.short input { width: 100%; }
.ady-curate button.chip { min-height: 24px; cursor: pointer; color: var(--ink); } .ady-curate .set { gap: 6px; }
.ady-curate .chip.warn, .ady-curate .chip.withdrawn { border-color: var(--warn); color: var(--warn); } .ady-curate .chip { overflow-wrap: normal; } .ady-curate .places .chip, .ady-curate th.name .chip { white-space: normal; }
.ady-curate .sources > button { align-self: flex-start; } .ady-curate .finding > div:empty { display: none; } .ady-curate .diff .filters select { max-width: 24em; }
.ady-curate .bulk { padding: 6px 10px; border: 1px solid var(--edge); border-radius: 6px; background: var(--tint); } .ady-curate .bulk select { min-height: 26px; padding: 1px 6px; font-size: 13px; }
.ady-curate .queues { display: grid; grid-template-columns: repeat(auto-fill, minmax(140px, 1fr)); gap: 8px; }
.ady-curate .queue-button { display: flex; flex-direction: column; align-items: flex-start; gap: 2px; padding: 8px 12px; white-space: normal; text-align: left; border-color: var(--edge); font-size: 13px; } .ady-curate .queue-button strong { font-weight: 600; font-size: 14px; } .ady-curate .queue-button[aria-pressed=true] { border-color: var(--fill); box-shadow: inset 0 0 0 1px var(--fill); background: color-mix(in srgb, var(--fill) 8%, var(--paper)); }
.ady-curate .queue { padding: 14px 16px; border: 1px solid var(--edge); border-radius: 8px; } .ady-curate .queue > h3:focus { outline: none; }
.ady-curate .findings { display: flex; flex-direction: column; gap: 10px; margin: 0; padding: 0; list-style: none; } .ady-curate .findings:empty { display: none; }
.ady-curate .finding { display: flex; flex-direction: column; gap: 8px; padding: 10px 12px; border: 1px solid var(--edge); border-left: 3px solid var(--rim); border-radius: 6px; min-width: 0; } .ady-curate .finding.added { border-left-color: var(--good); } .ady-curate .finding.removed { border-left-color: var(--bad); } .ady-curate .finding .actions:empty { display: none; } .ady-curate .finding label.check { min-height: 0; font-size: 13px; } .ady-curate .keeper { gap: 6px; flex-wrap: nowrap; } .ady-curate .places { gap: 4px 14px; font-size: 13px; } .ady-curate .places button.link { font-size: 13px; }
.ady-curate .beginning { max-height: 15em; overflow: auto; } .ady-curate .comparison { display: flex; flex-direction: column; gap: 8px; } .ady-curate .comparison .side { max-height: 22em; overflow: auto; padding: 8px 10px; border-radius: 6px; background: var(--tint); }
.ady-curate mark { padding: 0 2px; border-radius: 3px; color: var(--ink); background: color-mix(in srgb, #f2b824 45%, var(--paper)); font-weight: 600; }
.ady-curate del { color: var(--ink); background: color-mix(in srgb, var(--bad) 20%, var(--paper)); text-decoration: line-through; text-decoration-thickness: 1px; border-radius: 3px; } .ady-curate ins { color: var(--ink); background: color-mix(in srgb, var(--good) 22%, var(--paper)); text-decoration: underline; text-underline-offset: 2px; border-radius: 3px; }
.ady-curate summary { cursor: pointer; width: fit-content; max-width: 100%; } .ady-curate .store { font-size: 13px; min-width: 0; flex: 1 1 16em; color: var(--soft); } .ady-curate .store table { margin-top: 8px; color: var(--ink); }
.ady-curate .checks { display: flex; flex-flow: row wrap; gap: 2px 16px; } .ady-curate .checks legend { float: left; width: 100%; } .ady-curate .options, .ady-curate .mapping .columns { display: grid; grid-template-columns: repeat(auto-fill, minmax(180px, 1fr)); gap: 10px 14px; align-items: start; } .ady-curate .options > .checks { grid-column: 1 / -1; } .ady-curate details > .options, .ady-curate details > .columns, .ady-curate details > .row { margin-top: 8px; } .ady-curate .field { display: flex; flex-direction: column; gap: 4px; min-width: 0; } .ady-curate .field.wide { grid-column: 1 / -1; } .ady-curate .columns select, .ady-curate .columns input, .ady-curate .columns textarea { width: 100%; }
.ady-curate dialog.form { width: min(92vw, 46em); max-height: 92vh; overflow: auto; } .ady-curate dialog.form form { display: flex; flex-direction: column; gap: 12px; } .ady-curate dialog.form form > p { margin: 0; } .ady-curate dialog .filters, .ady-curate dialog .notice { justify-content: flex-start; } .ady-curate .source { gap: 8px; padding: 10px 12px; } .ady-curate .source > legend { position: absolute; }
.ady-curate input[type=range] { width: 100%; padding: 0; }
.ady-curate .split-bar { display: flex; height: 14px; overflow: hidden; border-radius: 7px; background: var(--edge); } .ady-curate .split-bar > span { flex: 1 1 0; min-width: 3px; } .ady-curate .counts { display: flex; flex-direction: column; gap: 8px; } .ady-curate .legend { margin: 0; padding: 0; list-style: none; } .ady-curate .legend li::before { content: ""; display: inline-block; width: 10px; height: 10px; margin-right: 6px; border-radius: 3px; background: var(--piece, var(--rim)); } .ady-curate .split-bar > span { background: var(--piece, var(--rim)); } .ady-curate .train { --piece: var(--fill); } .ady-curate .validation { --piece: #c77700; } .ady-curate .test { --piece: #6b3fa0; }
.ady-curate .drawing { overflow: auto; padding: 6px; border: 1px solid var(--edge); border-radius: 8px; } .ady-curate .canvas { position: relative; margin: auto; } .ady-curate .canvas svg { position: absolute; inset: 0; } .ady-curate .canvas path { stroke: var(--edge); stroke-width: 1.5; } .ady-curate .canvas path.related { stroke: var(--fill); stroke-width: 2; }
.ady-curate .node { position: absolute; display: flex; flex-direction: column; justify-content: center; gap: 1px; padding: 4px 10px; border-color: var(--edge); border-left: 4px solid var(--rim); text-align: left; } .ady-curate .node > span { align-self: stretch; margin: 0; text-align: left; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; } .ady-curate .node .name { font-weight: 600; font-size: 13px; } .ady-curate .node.related { border-color: var(--fill); } .ady-curate .node[aria-pressed=true] { background: color-mix(in srgb, var(--fill) 14%, var(--paper)); box-shadow: inset 0 0 0 1px var(--fill); } .ady-curate .node.version { border-left-color: var(--fill); } .ady-curate .node.job { border-left-color: #c77700; } .ady-curate .node.adapter { border-left-color: var(--good); } .ady-curate .node.withdrawn { border-style: dashed; }
.ady-curate .lineage .facts { display: flex; flex-direction: column; gap: 4px; } .ady-curate .panel .lineage .drawing { max-height: 260px; }
.ady-curate .import { align-items: stretch; } .ady-curate .previews, .ady-curate .members { display: flex; flex-direction: column; gap: 12px; margin: 0; padding: 0; list-style: none; } .ady-curate .preview { max-height: 26em; overflow: auto; padding: 10px; border: 1px solid var(--edge); border-radius: 8px; background: var(--paper); } .ady-curate .previews > li + li { padding-top: 12px; border-top: 1px solid var(--edge); } .ady-curate .label { font-weight: 600; }
.ady-curate .history .change { margin-top: 6px; padding: 8px 10px; border-radius: 6px; background: var(--tint); } .ady-curate .history li > details { flex-basis: 100%; }
.ady-curate .panel-body .facts { gap: 6px; }
@container (max-width: 780px) { .ady-curate table .mid { display: none; } }
@container (max-width: 620px) { .ady-curate table .wide { display: none; } .ady-curate .narrow { display: block; font-weight: 400; font-size: 12px; } .ady-curate th, .ady-curate td { padding: 6px; } .ady-curate td .actions { flex-wrap: wrap; }
  .ady-curate .filters > label:not(.check) { flex: 1 1 40%; max-width: none; } .ady-curate .filters > .wide-field { flex-basis: 100% !important; } .ady-curate .filters select { max-width: none; } }
@container (max-width: 460px) { .ady-curate .problems thead { display: none; } .ady-curate .problems :is(table, tbody, tr, td) { display: block; } .ady-curate .problems td { border: 0; padding: 1px 10px; } .ady-curate .problems tr { padding: 6px 0; border-bottom: 1px solid var(--edge); } .ady-curate .problems td:first-child { font-weight: 600; } }
@container (min-width: 860px) { .ady-curate .split.open { grid-template-columns: minmax(0, 1fr) minmax(340px, 42%); } .ady-curate .split.open .panel { height: clamp(260px, 58vh, 760px); } .ady-curate .split.open .panel-body { flex: 1; min-height: 0; } }
`;
