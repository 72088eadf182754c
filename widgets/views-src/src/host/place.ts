// Where the service is for programs outside of this page.

/** The address of the service; null if it cannot be known here. `url` is what the service says of itself. */
export function serviceAddress(url: string): string | null {
  if (/^https?:\/\//.test(url)) return url;
  return isOfHub() ? new URL(url, location.origin).href : null;
}

/** Whether a Hub serves this page: the service's own, or one of a server that it started. */
function isOfHub(): boolean {
  if (document.body.dataset.base !== undefined) return true;
  const config = document.getElementById("jupyter-config-data")?.textContent;
  return Boolean(config && (JSON.parse(config) as { hubPrefix?: string }).hubPrefix);
}
