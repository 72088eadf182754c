// One esbuild step: each view becomes one self-contained ES module, because anywidget loads a module
// from a Blob URL, where relative imports fail.
import { existsSync } from "node:fs";
import { build } from "esbuild";

const outdir = process.argv[2] ?? "../../core/adaptery/views";
const views = ["panel", "curate", "train", "jobs", "watch", "chat", "keys"];

await build({
  entryPoints: [
    ...views.filter((view) => existsSync(`src/${view}/${view}.ts`)).map((view) => ({ in: `src/${view}/${view}.ts`, out: view })),
    "src/hosts.ts",
    ...(existsSync("src/page.ts") ? ["src/page.ts"] : []),
  ],
  outdir,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  charset: "utf8",
  loader: { ".css": "text" },
  logLevel: "warning",
});

// The frame of the service's own page.
await build({ entryPoints: ["src/page.css"], outdir, minify: true, charset: "utf8", logLevel: "warning" });
