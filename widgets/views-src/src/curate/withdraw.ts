// Withdrawing a version: it stays, but nobody shall use it, and every adapter of it is flagged.

import { FormDialog } from "../parts/dialog";
import { control, element } from "../parts/elements";
import type { Context, Version } from "./things";

export function askToWithdraw(context: Context, version: Version): Promise<boolean> {
  const reason = control("textarea", { rows: "3", maxlength: "1000", required: true });
  const dialog = new FormDialog({
    title: `Withdraw ${version.name}?`,
    content: [
      element("p", {}, "No new job can train on it, and each adapter that was made of it says so. It stays readable, with your reason. This cannot be taken back."),
      element("label", {}, "Reason, seen by everybody who may see the version", reason),
    ],
    action: "Withdraw it",
    danger: true,
    signal: context.signal,
    act: async () => {
      await context.host.call("versions.withdraw", { version: version.id, reason: reason.value.trim() });
    },
  });
  dialog.allow(false);
  reason.addEventListener("input", () => dialog.allow(reason.value.trim() !== ""));
  return dialog.open(context.root);
}
