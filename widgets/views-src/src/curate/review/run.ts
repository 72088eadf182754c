// What the review shall look for, and with what it compares.

import { FormDialog } from "../../parts/dialog";
import { control, element } from "../../parts/elements";
import { ask, type Context, type Dataset, type List, type Operation } from "../things";
import { QUEUES, type Queue, ruleWords } from "./things";

const PII = ["email", "phone", "ssn", "mrn", "date", "age", "ip", "card", "name"] as const;
const ANALYSED = (Object.keys(QUEUES) as Queue[]).filter((queue) => queue !== "lengths");

/** Ask what to look for, and begin; null if the reader thought better of it. */
export async function askToRun(context: Context, dataset: Dataset, chosen: readonly Queue[] = ANALYSED): Promise<Operation | null> {
  const queues = new Map(ANALYSED.map((queue) => [queue, check(chosen.includes(queue))]));
  const kinds = new Map(PII.map((kind) => [kind, check(true)]));
  const threshold = number("0.8", "0.5", "1", "0.05");
  const part = control("select", {}, ...Object.entries({ record: "the whole record", prompt: "the question", answer: "the answer" }).map(([value, words]) => element("option", { value }, words)));
  const words = number("5", "3", "20");
  const records = number("5", "2", "1000000");
  const short = number("15", "0", "10000");
  const languages = control("input", { type: "text", maxlength: "80", placeholder: "en, de", autocomplete: "off" });
  const others = element("fieldset", { hidden: true }, element("legend", {}, "Compare duplicates with other datasets, too"));
  const against = new Map<string, HTMLInputElement>();
  void offerOthers(context, dataset, others, against);
  let begun: Operation | null = null;
  const dialog = new FormDialog({
    title: "Run the review",
    content: [
      element("p", { class: "soft" }, "It only finds. Nothing is changed until you decide, and what you decided stays."),
      element("fieldset", { class: "checks" }, element("legend", {}, "Look for"), ...[...queues].map(([queue, box]) => element("label", { class: "check" }, box, QUEUES[queue].title))),
      others,
      control(
        "details",
        {},
        control("summary", {}, "How it looks"),
        element(
          "div",
          { class: "options" },
          element("label", {}, "Near duplicates are alike by at least", threshold),
          element("label", {}, "Of near duplicates, compare", part),
          element("label", {}, "A phrase has at least so many words", words),
          element("label", {}, "A phrase is in at least so many records", records),
          element("label", {}, "An answer is short below so many characters", short),
          element("label", {}, "Expected languages", languages, element("span", { class: "hint" }, "Codes such as en; the most frequent one if left out")),
          element("fieldset", { class: "checks" }, element("legend", {}, "Personal data"), ...[...kinds].map(([kind, box]) => element("label", { class: "check" }, box, ruleWords("pii", kind)))),
        ),
      ),
    ],
    action: "Run",
    signal: context.signal,
    act: async () => {
      const args = {
        dataset: dataset.id,
        queues: ticked(queues),
        options: {
          threshold: Number(threshold.value),
          part: part.value,
          phrase_words: Number(words.value),
          phrase_records: Number(records.value),
          pii: ticked(kinds),
          short_characters: Number(short.value),
          languages: languages.value.toLowerCase().split(/[\s,;]+/).filter(Boolean),
        },
        against: ticked(against),
      };
      begun = (await context.host.call("review.run", args)) as unknown as Operation;
    },
  });
  const allow = (): void => dialog.allow(ticked(queues).length > 0);
  for (const box of queues.values()) box.addEventListener("change", allow);
  return (await dialog.open(context.root)) ? begun : null;
}

async function offerOthers(context: Context, dataset: Dataset, box: HTMLElement, against: Map<string, HTMLInputElement>): Promise<void> {
  try {
    const { items } = await ask<List<Dataset>>(context, "datasets.list", { order: "-changed", limit: 50 });
    for (const { id, full_name } of items) {
      if (id === dataset.id) continue;
      const tick = check(false);
      against.set(id, tick);
      box.append(element("label", { class: "check" }, tick, full_name));
    }
    box.hidden = against.size === 0;
  } catch {
    // It is compared with itself, as without a choice.
  }
}

function check(checked: boolean): HTMLInputElement {
  return control("input", { type: "checkbox", checked });
}

function number(value: string, min: string, max: string, step = "1"): HTMLInputElement {
  return control("input", { type: "number", value, min, max, step });
}

function ticked<Key>(boxes: ReadonlyMap<Key, HTMLInputElement>): Key[] {
  return [...boxes].filter(([, { checked }]) => checked).map(([key]) => key);
}
