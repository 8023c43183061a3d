/** Elements without markup: text from files only ever becomes text nodes. */

type Child = Node | string | number | null | undefined | false;

interface Attributes {
  [name: string]: string | number | boolean | null | undefined | ((event: Event) => void);
}

/** Creates an element. Attributes that are functions become event listeners; null, undefined and false leave one out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  for (const child of children) {
    if (child !== null && child !== undefined && child !== false) {
      element.append(child instanceof Node ? child : String(child));
    }
  }
  return element;
}

export function byId<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`no element ${id}`);
  return element as T;
}

/** Text of unknown origin: isolated, so that its direction marks end with it. */
export function untrusted(text: string): HTMLElement {
  return h("bdi", {}, text);
}

let cards = 0;

/** A titled part of the report. */
export function card(title: string, ...children: Child[]): HTMLElement {
  const id = `card-${++cards}`;
  return h("section", { class: "card", "aria-labelledby": id }, h("h2", { id }, title), ...children);
}

/** The same, beside another one where the window is wide. */
export function halfCard(title: string, ...children: Child[]): HTMLElement {
  const element = card(title, ...children);
  element.classList.add("half");
  return element;
}

export function formatCount(n: number): string {
  return n.toLocaleString("en");
}

export function formatBytes(n: number): string {
  return n === 1 ? "1 byte" : `${formatCount(n)} bytes`;
}

export function hexByte(x: number): string {
  return `0x${x.toString(16).padStart(2, "0")}`;
}

/** Offers text or bytes as a file. */
export function download(name: string, content: BlobPart[], type: string): void {
  const url = URL.createObjectURL(new Blob(content, { type }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
