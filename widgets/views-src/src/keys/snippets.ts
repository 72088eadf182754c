// How a program uses a key, in three ways. Pure: text in, text out.
//
// - A prompt for a restricted adapter never leaves in the open: there, only lines that seal are given.

export interface Target {
  /** The address of the service, with a slash at its end. */
  service: string;
  /** What may be named as the model. */
  models: readonly string[];
  /** Whether the key may ask, or only list. */
  infers: boolean;
  /** Whether one of the models answers over the sealed channel only. */
  sealed: boolean;
  /** Only while it is shown. */
  secret: string | null;
}

export interface Snippet {
  name: string;
  title: string;
  text: string;
}

const PLACEHOLDER = "ak-...";
/** A model that does not stop by itself would use up the day's tokens. */
const MAX_TOKENS = 200;

export function snippetsOf(target: Target): Snippet[] {
  if (target.infers && target.sealed) return [{ name: "openai", title: "OpenAI", text: openai(target) }];
  const curl = { name: "curl", title: "curl", text: target.infers ? curlAsks(target) : curlLists(target) };
  if (!target.infers) return [curl];
  return [{ name: "openai", title: "OpenAI", text: openai(target) }, { name: "langchain", title: "LangChain", text: langchain(target) }, curl];
}

/** A key of one adapter has an address that means it; one of several says which. */
function baseOf({ service, models }: Target): string {
  const [model, ...others] = models;
  return model === undefined || others.length > 0 ? `${service}v1` : `${service}a/${model.split("/").map(segment).join("/")}/v1`;
}

/** Names of ours, such as @demo, stay as they are. */
function segment(name: string): string {
  return encodeURIComponent(name).replace(/%40/g, "@");
}

function modelOf({ models }: Target): string {
  return models[0] ?? "";
}

/** The client that seals passes on as it is what need not be sealed. */
function openai(target: Target): string {
  const [imports, client] = target.sealed ? ["# pip install openai 'adaptery[sealed]'\nimport adaptery\n", "\n    http_client=adaptery.SealingClient(),"] : ["", ""];
  return `${imports}from openai import OpenAI

client = OpenAI(
    base_url=${python(baseOf(target))},
    api_key=${python(target.secret ?? PLACEHOLDER)},${client}
)
answer = client.chat.completions.create(
    model=${python(modelOf(target))},
    messages=[{"role": "user", "content": "Hello"}],
    max_tokens=${MAX_TOKENS},
)
print(answer.choices[0].message.content)`;
}

function langchain(target: Target): string {
  return `from langchain_openai import ChatOpenAI

model = ChatOpenAI(
    model=${python(modelOf(target))},
    base_url=${python(baseOf(target))},
    api_key=${python(target.secret ?? PLACEHOLDER)},
    max_tokens=${MAX_TOKENS},
)
print(model.invoke("Hello").content)`;
}

function curlAsks(target: Target): string {
  const body = JSON.stringify({ model: modelOf(target), messages: [{ role: "user", content: "Hello" }], max_tokens: MAX_TOKENS });
  return `curl ${shell(`${baseOf(target)}/chat/completions`)} \\
  -H ${shell(bearer(target))} \\
  -H 'Content-Type: application/json' \\
  -d ${shell(body)}`;
}

function curlLists(target: Target): string {
  return `curl ${shell(`${target.service}v1/models`)} \\
  -H ${shell(bearer(target))}`;
}

function bearer({ secret }: Target): string {
  return `Authorization: Bearer ${secret ?? PLACEHOLDER}`;
}

/** A string of JSON is one of Python. */
function python(text: string): string {
  return JSON.stringify(text);
}

function shell(text: string): string {
  return `'${text.replace(/'/g, `'\\''`)}'`;
}
