// @vitest-environment happy-dom
import { beforeAll, expect, it } from "vitest";
import { eventually } from "../support/scripted-host";

const main = (): HTMLElement => document.querySelector("main")!;

beforeAll(async () => {
  document.body.innerHTML = '<a class="skip" href="#main"></a><nav><a href="#panel">Overview</a><a href="#jobs">Jobs</a></nav><main tabindex="-1"></main>';
  location.hash = "#adapters";
  await import("../../src/page");
});

it("says that there is nothing at an address that names no view, and leads to the overview", () => {
  expect(main().textContent).toContain("There is no such page.");
  expect(main().querySelector("a")!.getAttribute("href")).toBe("#panel");
  expect(document.querySelector("[aria-current]")).toBeNull();
});

it("shows nothing else for something that is named wrongly", async () => {
  main().replaceChildren();
  location.hash = "#watch?job=x";
  await eventually(() => main().textContent!.includes("There is no such page."));
  expect(location.hash).toBe("#watch?job=x");
});
