// Colours and fonts come from JupyterLab's variables where there are any, so that light and dark fit.

export const CHAT_STYLE = `
.ady-chat { --edge: var(--jp-border-color2, #c7ccd1); --ink: var(--jp-ui-font-color1, #1f2328);
  --soft: var(--jp-ui-font-color2, #57606a); --paper: var(--jp-layout-color1, #fff);
  --tint: var(--jp-layout-color2, #f3f5f7); --brand: var(--jp-brand-color1, #1a73c7);
  --bad: var(--jp-error-color1, #b3261e);
  container-type: inline-size; display: flex; flex-direction: column; gap: 10px; max-width: 1100px;
  font: 14px/1.5 var(--jp-ui-font-family, system-ui, sans-serif); color: var(--ink);
  background: var(--paper); border: 1px solid var(--edge); border-radius: 8px; padding: 12px; }
.ady-chat .bar { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: end; }
.ady-chat label { display: flex; flex-direction: column; font-size: 12px; color: var(--soft); gap: 2px; }
.ady-chat select, .ady-chat input, .ady-chat textarea, .ady-chat button { font: inherit; font-size: 14px;
  color: var(--ink); background: var(--paper); border: 1px solid var(--edge); border-radius: 6px; padding: 5px 8px; }
.ady-chat input[type=number] { width: 7em; }
.ady-chat :focus-visible { outline: 2px solid var(--brand); outline-offset: 1px; }
.ady-chat button { cursor: pointer; }
.ady-chat button:disabled { opacity: .5; cursor: default; }
.ady-chat button.main { background: var(--brand); border-color: var(--brand); color: #fff; font-weight: 600; }
.ady-chat .log { display: flex; flex-direction: column; gap: 14px; max-height: 460px; min-height: 90px; overflow-y: auto; padding: 2px; }
.ady-chat .empty { color: var(--soft); margin: auto; text-align: center; max-width: 34em; }
.ady-chat .question { align-self: flex-end; max-width: 80%; background: var(--brand); color: #fff;
  border-radius: 10px 10px 2px 10px; padding: 6px 12px; white-space: pre-wrap; overflow-wrap: anywhere; }
.ady-chat .answers { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 240px), 1fr)); gap: 10px; width: 100%; }
.ady-chat .answer { background: var(--tint); border-radius: 2px 10px 10px 10px; padding: 6px 12px; white-space: pre-wrap; overflow-wrap: anywhere; }
.ady-chat .who { display: block; font-size: 12px; color: var(--soft); white-space: normal; }
.ady-chat .problem { border: 1px solid var(--bad); color: var(--bad); border-radius: 6px; padding: 8px 12px;
  display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: center; }
.ady-chat .problem span { flex: 1 1 16em; }
.ady-chat form { display: flex; gap: 8px; align-items: stretch; flex-wrap: wrap; }
.ady-chat textarea { flex: 1 1 14em; resize: vertical; min-height: 3.2em; }
.ady-chat .writing::after { content: "▍"; color: var(--brand); }
`;
