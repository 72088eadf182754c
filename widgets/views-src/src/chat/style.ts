export const CHAT_STYLE = `
.ady-chat { max-width: 1100px; height: 100%; overflow: hidden; border: 1px solid var(--edge); border-radius: 8px; }
.ady-chat label.model { flex: 1 1 13em; min-width: 0; }
.ady-chat label.model .name { display: flex; gap: 8px; align-items: center; }
.ady-chat label.model .chip { padding: 0 6px; font-size: 11px; line-height: 16px; color: var(--ink); }
.ady-chat label.model .chip.withdrawn { border-color: var(--bad); color: var(--bad); white-space: normal; }
.ady-chat label.model select, .ady-chat .settings :is(input, textarea) { width: 100%; }
.ady-chat label.check:has(:disabled) { color: var(--soft); opacity: .75; }
.ady-chat .settings { display: grid; grid-template-columns: repeat(auto-fill, minmax(9em, 1fr)); gap: 8px 14px; padding: 10px 12px; border-bottom: 1px solid var(--edge); }
.ady-chat .settings .system { grid-column: 1 / -1; }
.ady-chat > .notice { margin: 10px 12px 0; }
.ady-chat .lock { flex: none; width: 16px; height: 16px; fill: currentColor; }
.ady-chat [role=alert] .notice { margin: 0 12px 12px; }
.ady-chat .log { display: flex; flex-direction: column; gap: 14px; flex: 1 1 380px; min-height: 200px; padding: 14px 12px; overflow-y: auto; }
.ady-chat .log:focus-visible { outline-offset: -2px; }
.ady-chat .log > :first-child { margin-top: auto; }
.ady-chat .log > .empty { margin: auto; }
.ady-chat .turn { display: flex; flex-direction: column; gap: 10px; }
.ady-chat .question { align-self: flex-end; max-width: min(85%, 44em); padding: 7px 12px; border-radius: 12px 12px 3px 12px;
  background: var(--fill); color: #fff; white-space: pre-wrap; overflow-wrap: anywhere; }
.ady-chat .editor { display: flex; flex-direction: column; gap: 8px; align-self: flex-end; align-items: flex-end; width: min(100%, 44em); }
.ady-chat .editor textarea { width: 100%; }
.ady-chat .answers { display: flex; flex-wrap: wrap; gap: 12px; align-items: stretch; }
.ady-chat .answer { display: flex; flex-direction: column; flex: 0 1 auto; max-width: min(100%, 52em); min-width: 0; padding: 7px 12px; border-radius: 12px 12px 12px 3px; background: var(--tint); }
.ady-chat .answer:not(:only-child) { flex: 1 1 16em; }
.ady-chat .who { font-size: 12px; color: var(--soft); overflow-wrap: anywhere; }
.ady-chat .foot { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: center; margin-top: auto; padding-top: 4px; font-size: 12px; color: var(--soft); }
.ady-chat .foot:empty { display: none; }
.ady-chat .note { flex: 1 1 12em; overflow-wrap: anywhere; }
.ady-chat .foot button { border-color: transparent; background: none; font-size: 12px; }
.ady-chat .foot button:hover { background: var(--paper); }
.ady-chat .actions { gap: 4px 16px; padding-left: 12px; font-size: 12px; }
.ady-chat .actions:empty { display: none; }
.ady-chat .actions button { font-size: 12px; color: color-mix(in srgb, var(--focus) 60%, var(--ink)); }
.ady-chat .writing .said:empty::after, .ady-chat .writing .said > :is(p, h3, h4, h5, h6):last-child::after,
.ady-chat .writing .said > :is(ul, ol):last-child > li:last-child::after { content: "▍"; color: var(--focus); }
.ady-chat .cut .answer { border: 1px dashed var(--bad); }
.ady-chat form { display: flex; margin: 0; gap: 8px; align-items: flex-end; padding: 10px 12px 12px; border-top: 1px solid var(--edge); }
.ady-chat form textarea { flex: 1; min-width: 0; min-height: 56px; padding: 7px 10px; }
@container (max-width: 480px) { .ady-chat label.model { flex-basis: 100%; } }
@container (min-width: 700px) { .ady-chat .bar { flex-wrap: nowrap; } }
`;
