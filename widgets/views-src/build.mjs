// One esbuild step: each view becomes one self-contained ES module, because anywidget loads a module
// from a Blob URL, where relative imports fail.
import { build } from "esbuild";

const outdir = process.argv[2] ?? "../../core/adaptery/views";

await build({
  entryPoints: ["src/chat.ts"],
  outdir,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  charset: "utf8",
  logLevel: "warning",
});
