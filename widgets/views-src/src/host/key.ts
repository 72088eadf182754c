// Keys of requests: sent again with the same one, the service does once what is asked for.

/** Also where the page has no secure context, which `crypto.randomUUID` needs. */
export function newKey(): string {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join("-");
}
