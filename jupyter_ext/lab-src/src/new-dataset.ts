// "New dataset from this file": all or nothing. A file that is refused leaves no dataset behind, so that
// the mended file can be given the same name.

import { Dialog, InputDialog, Notification, showDialog } from "@jupyterlab/apputils";
import type { Contents } from "@jupyterlab/services";
import { Widget } from "@lumino/widgets";
import { type Host, isHostError, type Json } from "./contract";
import { suggested } from "./dataset-file";
import { type AdapteryServer, ServerError } from "./server";
import type { Open } from "./view-widget";

/** Problems that one dialog lists. */
const LISTED = 20;

type Sent = { sent: number; total: number };

export class NewDataset {
  constructor(
    private readonly server: AdapteryServer,
    private readonly contents: Contents.IManager,
    private readonly host: Host,
    private readonly open: Open,
    private readonly wordsOf: (error: unknown) => string,
  ) {}

  /** Ask for a name, and make the dataset. */
  async from(file: Contents.IModel): Promise<void> {
    const dataset = await this.create(suggested(file.name));
    if (dataset === null) return;
    const progress = new Progress(file.name);
    try {
      if (await this.send(file, dataset, progress)) await this.open("curate", { dataset });
      else await this.remove(dataset);
    } catch (error) {
      await this.remove(dataset);
      progress.end();
      await showDialog({ title: `${file.name} was not taken`, body: report(this.words(error), error), buttons: [Dialog.okButton()] });
    } finally {
      progress.end();
    }
  }

  /** Ask until the service takes the name; null if the reader gives up. */
  private async create(suggestion: string): Promise<string | null> {
    let text = suggestion;
    let label = "Name of the dataset";
    for (;;) {
      const answer = await InputDialog.getText({ title: "New dataset from this file", label, text, okLabel: "Create" });
      if (!answer.button.accept || answer.value === null) return null;
      text = answer.value.trim();
      try {
        const made = (await this.host.call("datasets.create", { name: text })) as { id: string };
        return made.id;
      } catch (error) {
        label = [this.words(error), ...problems(error)].join(" ");
      }
    }
  }

  /** Send the file; false if the reader stopped it. */
  private async send(file: Contents.IModel, dataset: string, progress: Progress): Promise<boolean> {
    const content = await this.server.file(await this.contents.getDownloadUrl(file.path));
    const args = { dataset, file: file.name, content };
    let last: Json = null;
    for await (const event of this.host.stream("files.put", args, progress.signal)) {
      last = event;
      const { sent, total } = event as Partial<Sent>;
      if (sent !== undefined && total) progress.show(sent / total);
    }
    return last !== null && !progress.signal.aborted;
  }

  /** It holds nothing yet; if it cannot be removed, it is only in the way of its name. */
  private async remove(dataset: string): Promise<void> {
    await this.host.call("datasets.remove", { dataset }).catch(() => undefined);
  }

  private words(error: unknown): string {
    return error instanceof ServerError ? error.message : this.wordsOf(error);
  }
}

/** A notification that shows how far it is, with a way to stop it. */
class Progress {
  private readonly controller = new AbortController();
  private readonly id: string;
  readonly signal = this.controller.signal;

  constructor(private readonly name: string) {
    this.id = Notification.emit(`Sending ${name} …`, "in-progress", {
      autoClose: false,
      progress: 0,
      actions: [{ label: "Stop", callback: () => this.controller.abort() }],
    });
  }

  show(share: number): void {
    if (this.signal.aborted) return;
    const percent = Math.floor(share * 100);
    const message = percent < 100 ? `Sending ${this.name}: ${percent} %` : `The service reads ${this.name} …`;
    Notification.update({ id: this.id, message, progress: share });
  }

  end(): void {
    Notification.dismiss(this.id);
  }
}

function problems(error: unknown): string[] {
  if (!isHostError(error)) return [];
  return error.fields.map(({ where, reason, remedy }) => [`${where}:`, reason, remedy].filter(Boolean).join(" "));
}

function report(words: string, error: unknown): Widget {
  const all = problems(error);
  const list = document.createElement("ul");
  for (const problem of all.slice(0, LISTED)) {
    const item = document.createElement("li");
    item.textContent = problem;
    list.append(item);
  }
  const said = document.createElement("p");
  said.textContent = words;
  const rest = document.createElement("p");
  rest.textContent = all.length > LISTED ? `And ${all.length - LISTED} more.` : "";
  const body = new Widget();
  body.node.append(said, list, rest);
  body.node.style.maxWidth = "48em";
  return body;
}
