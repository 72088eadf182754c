// DOMPurify asks `Node.prototype` for the name of a node, so that no form can lie about it. A browser
// answers there; happy-dom answers only in the classes below, and all would be taken away.

Object.defineProperty(Node.prototype, "nodeName", {
  configurable: true,
  get(this: Node): string {
    if (this instanceof Element) return this.tagName;
    return this.nodeType === Node.TEXT_NODE ? "#text" : this.nodeType === Node.COMMENT_NODE ? "#comment" : "#document-fragment";
  },
});
