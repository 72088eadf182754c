// Building HTML without innerHTML: text is always text.

type Attributes = Record<string, string | boolean>;

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/**
 * An element that takes the keyboard. Lab's shortcuts are kept off it: Shift+Enter would run the
 * cell, which takes the view away, and Enter or an arrow would act on the notebook.
 * Source: @lumino/commands, CommandRegistry.processKeydownEvent; it looks at the target itself.
 */
export function control<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  return element(tag, { "data-lm-suppress-shortcuts": "true", ...attributes }, ...children);
}

/** A part that is scrolled by itself if there is much in it: the keyboard must get there too. */
export function scrolled(name: string, style: string, ...children: (Node | string)[]): HTMLElement {
  return control("div", { class: style, role: "group", tabindex: "0", "aria-label": name }, ...children);
}

/** An element of a drawing. */
export function drawn<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Record<string, string | number> = {}, ...children: (Node | string)[]): SVGElementTagNameMap[K] {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

/** A button that does something. */
export function button(words: string, act: () => void, style = "", name = ""): HTMLButtonElement {
  const made = control("button", { type: "button", class: style, ...(name ? { "aria-label": name } : {}) }, words);
  made.addEventListener("click", act);
  return made;
}
