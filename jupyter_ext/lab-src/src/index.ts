// Adaptery in JupyterLab 4 and Jupyter Notebook 7. This knows Jupyter; the views, and what they ask,
// come from the server.

import { ILabShell, ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette } from "@jupyterlab/apputils";
import { IFileBrowserFactory } from "@jupyterlab/filebrowser";
import { ILauncher } from "@jupyterlab/launcher";
import type { Start } from "./contract";
import { DATASET_FILE } from "./dataset-file";
import { icon, iconOf } from "./icon";
import { JobNotices } from "./job-notices";
import { NewDataset } from "./new-dataset";
import { AdapteryServer } from "./server";
import { Sidebar, SIDEBAR_ID } from "./sidebar";
import { Tabs } from "./tabs";
import type { ViewWidget } from "./view-widget";

const CATEGORY = "Adaptery";
const OPEN = "adaptery:open";
const SHOW = "adaptery:show";
const NEW_DATASET = "adaptery:new-dataset";
/** Below the file browser (100) and what runs (200), above what extensions without a rank add. */
const SIDEBAR_RANK = 250;
/** What a reader begins with, in the order of the journey. */
const CARDS = [
  { view: "curate", label: "Curate datasets", caption: "Make a dataset, look at its records, publish a version" },
  { view: "train", label: "Train an adapter", caption: "Choose a dataset and a base model, and start a job" },
  { view: "jobs", label: "Jobs", caption: "What waits, trains and is done" },
  { view: "chat", label: "Chat", caption: "Talk to an adapter, beside its base model" },
  { view: "keys", label: "Keys", caption: "Let programs outside the Hub ask an adapter" },
];

/** The views that the command opens; a link in a notebook may name any word. */
const VIEWS: readonly string[] = ["panel", "watch", ...CARDS.map(({ view }) => view)];

type OpenArgs = { view?: string; start?: Start; id?: string };

/** Opens views where this front end has room for them. */
class Opener {
  private readonly tabs: Tabs | null;
  readonly sidebar: Sidebar;
  notices: JobNotices | null = null;

  constructor(
    private readonly app: JupyterFrontEnd,
    readonly server: AdapteryServer,
    labShell: ILabShell | null,
    restorer: ILayoutRestorer | null,
  ) {
    this.tabs = labShell ? new Tabs(app, server, this.open) : null;
    this.sidebar = new Sidebar(server, this.tabs ? this.open : null);
    if (restorer) this.tabs?.restoreBy(restorer, OPEN);
  }

  readonly open = (view: string, start: Start, id?: string): ViewWidget | undefined => {
    if (view === "watch") this.notices?.lookSoon();
    if (this.tabs) return this.tabs.open(view, start, id);
    this.sidebar.open(view, start);
    this.app.shell.activateById(SIDEBAR_ID);
    return undefined;
  };
}

const plugin: JupyterFrontEndPlugin<void> = {
  id: "adaptery:plugin",
  description: "Curate datasets, train adapters, watch them learn and chat with them.",
  autoStart: true,
  optional: [ILabShell, ILayoutRestorer, ICommandPalette, ILauncher, IFileBrowserFactory],
  activate: (
    app: JupyterFrontEnd,
    labShell: ILabShell | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    files: IFileBrowserFactory | null,
  ) => {
    const server = new AdapteryServer(app.serviceManager.serverSettings);
    const opener = new Opener(app, server, labShell, restorer);
    addOpenCommands(app, opener);
    app.shell.add(opener.sidebar, "left", { rank: SIDEBAR_RANK });
    restorer?.add(opener.sidebar, SIDEBAR_ID);
    // Without a service there is nothing to offer; the sidebar says so.
    void server.ready
      .then(() => {
        offerViews(palette, launcher);
        return serve(app, opener, files);
      })
      .catch(() => undefined); // the sidebar, which needs the same, says what is wrong
  },
};

function addOpenCommands(app: JupyterFrontEnd, opener: Opener): void {
  const cardOf = (args: OpenArgs) => CARDS.find((card) => card.view === args.view);
  app.commands.addCommand(OPEN, {
    label: (args) => cardOf(args as OpenArgs)?.label ?? "Open a view of Adaptery",
    caption: (args) => cardOf(args as OpenArgs)?.caption ?? "",
    icon: (args) => (args.isPalette ? undefined : iconOf((args as OpenArgs).view ?? "jobs")),
    execute: (args) => {
      const { view = "jobs", start = {}, id } = args as OpenArgs;
      if (!VIEWS.includes(view)) throw new Error("There is no such view.");
      return opener.open(view, start, id);
    },
  });
  app.commands.addCommand(SHOW, {
    label: "Show the Adaptery panel",
    execute: () => app.shell.activateById(SIDEBAR_ID),
  });
}

function offerViews(palette: ICommandPalette | null, launcher: ILauncher | null): void {
  palette?.addItem({ command: SHOW, category: CATEGORY });
  for (const [rank, { view }] of CARDS.entries()) {
    palette?.addItem({ command: OPEN, category: CATEGORY, args: { view, isPalette: true } });
    launcher?.add({ command: OPEN, category: CATEGORY, rank, args: { view } });
  }
}

/** What needs a service: news of jobs, and datasets out of files. */
async function serve(app: JupyterFrontEnd, opener: Opener, files: IFileBrowserFactory | null): Promise<void> {
  const { HttpHost, wordsOf } = await opener.server.hosts();
  const host = new HttpHost(opener.server.base);
  const open = (view: string, start: Start): void => void opener.open(view, start);
  opener.notices = new JobNotices(host, open);
  if (!files) return;
  const dataset = new NewDataset(opener.server, app.serviceManager.contents, host, open, wordsOf);
  const selected = () => {
    const items = [...(files.tracker.currentWidget?.selectedItems() ?? [])];
    return items.length === 1 && DATASET_FILE.test(items[0]!.name) ? items[0]! : null;
  };
  app.commands.addCommand(NEW_DATASET, {
    label: "New dataset from this file",
    icon,
    isVisible: () => selected() !== null,
    execute: async () => {
      const file = selected();
      if (file) await dataset.from(file);
    },
  });
  app.contextMenu.addItem({ command: NEW_DATASET, selector: '.jp-DirListing-item[data-isdir="false"]', rank: 20 });
}

export default plugin;
