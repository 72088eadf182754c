// What follows from what is chosen, in the names of the worker: nothing of it can be typed.

import { element } from "../parts/elements";

export class Derived {
  readonly element = element("table", { class: "derived" }, element("caption", {}, "Follows from what you choose"));
  private readonly body = element("tbody");

  constructor() {
    this.element.append(this.body);
  }

  show(stage: string, baseModel: string, versions: readonly string[]): void {
    const facts = {
      stage,
      model_name_or_path: baseModel,
      dataset: versions.join(", "),
      dataset_dir: versions.map((_, at) => `inputs/${at}`).join(", "),
    };
    const rows = Object.entries(facts).map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, element("code", {}, name)), element("td", {}, value || "–")));
    this.body.replaceChildren(...rows);
  }
}
