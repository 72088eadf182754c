export const TRAIN_STYLE = `
.ady-train { gap: 16px; padding: 16px; max-width: 800px; }
.ady-train > form { display: flex; flex-direction: column; gap: 20px; margin: 0; }
.ady-train .fields > .notice { grid-column: 1 / -1; }
.ady-train hr { width: 100%; margin: 0; border: 0; border-top: 1px solid var(--edge); }
.ady-train .send { padding-top: 16px; border-top: 1px solid var(--edge); }
.ady-train .send button { min-height: 38px; padding: 7px 20px; }
.ady-train button[aria-disabled=true] { opacity: .55; cursor: default; }
.ady-train .submitted { display: flex; flex-direction: column; gap: 8px; padding: 16px; border: 1px solid var(--edge); border-left: 4px solid var(--good); border-radius: 6px; }
.ady-train .submitted:focus { outline: none; }
.ady-train .submitted .row { margin-top: 8px; }
.ady-train .submitted h3 { overflow-wrap: anywhere; }
@container (max-width: 420px) { .ady-train { padding: 12px; } .ady-train .send button { width: 100%; } }
`;
