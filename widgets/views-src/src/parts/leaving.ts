// Asking before a view is taken away that holds something which is not saved.

import { confirm } from "./dialog";

/** Sent to the element of a view before it goes; a view cancels it to be kept. Tabs of Lab send it too. */
const LEAVING = "ady-leaving";
const WORDS = "Something here is not finished: an upload, a change that is not saved, or a secret that is not copied. It is lost when you leave.";

/** Have the reader asked before `root` is taken away while it is busy. */
export function guard(root: HTMLElement, isBusy: () => boolean): void {
  root.addEventListener(LEAVING, (event) => {
    if (isBusy()) event.preventDefault();
  });
}

/** Whether the view that is shown in `place` may go: nothing is lost, or the reader says so. */
export async function mayLeave(place: HTMLElement): Promise<boolean> {
  const root = place.querySelector<HTMLElement>(".ady");
  if (!root || root.dispatchEvent(new Event(LEAVING, { cancelable: true }))) return true;
  return confirm(root, "Leave this view?", WORDS, "Leave", "Stay");
}
