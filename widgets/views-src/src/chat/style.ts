// Colours and fonts come from JupyterLab's variables where there are any, so that light and dark fit.
// `--fill` is our own: white on Lab's dark brand colour is too faint to read (3.1:1; this is 5.2:1).

export const CHAT_STYLE = `
.ady-chat { --ink: var(--jp-ui-font-color1, #1f2328); --paper: var(--jp-layout-color1, #fff);
  --tint: color-mix(in srgb, var(--ink) 7%, var(--paper)); --soft: color-mix(in srgb, var(--ink) 76%, var(--paper));
  --edge: color-mix(in srgb, var(--ink) 18%, var(--paper)); --rim: color-mix(in srgb, var(--ink) 45%, var(--paper));
  --focus: var(--jp-brand-color1, #1b6ec2); --fill: #1b6ec2; --bad: var(--jp-error-color1, #b3261e);
  box-sizing: border-box; container-type: inline-size; display: flex; flex-direction: column; max-width: 1100px; overflow: hidden;
  font: 14px/1.5 var(--jp-ui-font-family, system-ui, sans-serif); color: var(--ink); accent-color: var(--fill);
  background: var(--paper); border: 1px solid var(--edge); border-radius: 8px; }
.ady-chat *, .ady-chat *::before { box-sizing: border-box; }
.ady-chat [hidden] { display: none; }
.ady-chat .bar { display: flex; flex-wrap: wrap; gap: 8px 14px; align-items: end; padding: 10px 12px;
  border-bottom: 1px solid var(--edge); }
.ady-chat label { display: flex; flex-direction: column; gap: 2px; font-size: 12px; color: var(--soft); white-space: nowrap; }
.ady-chat label.model { flex: 1 1 11em; min-width: 0; }
.ady-chat label.beside { flex-direction: row; align-items: center; gap: 6px; height: 34px; font-size: 14px; color: var(--ink); }
.ady-chat label.beside:has(:disabled) { color: var(--soft); opacity: .75; }
.ady-chat label.beside input { width: 16px; height: 16px; margin: 0; }
.ady-chat select, .ady-chat input[type=number], .ady-chat textarea, .ady-chat button { margin: 0; height: 34px; padding: 5px 9px;
  font: inherit; font-size: 14px; color: var(--ink); background: var(--paper); border: 1px solid var(--rim); border-radius: 6px; }
.ady-chat select { width: 100%; text-overflow: ellipsis; }
.ady-chat input[type=number] { width: 100%; min-width: 6em; }
.ady-chat button { padding: 5px 14px; white-space: nowrap; cursor: pointer; }
.ady-chat .bar button { margin-left: auto; }
.ady-chat button:hover { background: var(--tint); }
.ady-chat button.main { background: var(--fill); border-color: var(--fill); color: #fff; font-weight: 600; }
.ady-chat button.main:hover { background: #175ea6; }
.ady-chat :focus-visible { outline: 2px solid var(--focus); outline-offset: 1px; }
.ady-chat .log { display: flex; flex-direction: column; gap: 12px; height: 380px; padding: 14px 12px; overflow-y: auto; }
.ady-chat .log:focus-visible { outline-offset: -2px; }
.ady-chat .log > :first-child { margin-top: auto; }
.ady-chat .empty { margin: auto !important; max-width: 32em; color: var(--soft); text-align: center; text-wrap: balance; }
.ady-chat .question { align-self: flex-end; max-width: min(85%, 44em); padding: 7px 12px; border-radius: 12px 12px 3px 12px;
  background: var(--fill); color: #fff; }
.ady-chat .answers { display: flex; flex-wrap: wrap; gap: 12px; align-items: stretch; }
.ady-chat .answer { flex: 0 1 auto; max-width: min(100%, 52em); min-width: 0; padding: 7px 12px; border-radius: 12px 12px 12px 3px; background: var(--tint); }
.ady-chat .answer:not(:only-child) { flex: 1 1 16em; }
.ady-chat .question, .ady-chat .said { white-space: pre-wrap; overflow-wrap: anywhere; }
.ady-chat .who, .ady-chat .note { display: block; font-size: 12px; color: var(--soft); overflow-wrap: anywhere; }
.ady-chat .note { margin-top: 2px; font-style: italic; }
.ady-chat .writing .said::after { content: "▍"; color: var(--focus); }
.ady-chat .problem { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: center; margin: 0 12px 12px; padding: 8px 12px;
  border: 1px solid var(--bad); border-left-width: 4px; border-radius: 6px;
  background: color-mix(in srgb, var(--bad) 8%, var(--paper)); }
.ady-chat .problem span { flex: 1 1 14em; }
.ady-chat form { display: flex; margin: 0; gap: 8px; align-items: flex-end; padding: 10px 12px 12px; border-top: 1px solid var(--edge); }
.ady-chat textarea { flex: 1; min-width: 0; height: auto; min-height: 56px; padding: 7px 10px; line-height: 1.45; resize: vertical; }
@container (max-width: 480px) { .ady-chat label.model { flex-basis: 100%; } }
.ady-chat ::placeholder { color: var(--soft); opacity: 1; }
`;
