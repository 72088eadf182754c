// What the benchmark of the views does in the page: mounts a view, and notes when it is painted.
"use strict";

window.bench = (() => {
  const base = `${location.pathname.replace(/lab.*$/, "")}adaptery/`;
  let unmount = () => undefined;

  const stage = () => {
    unmount();
    document.getElementById("bench-stage")?.remove();
    const el = document.createElement("div");
    el.id = "bench-stage";
    Object.assign(el.style, { position: "fixed", inset: "0", zIndex: "100000", background: "white", overflow: "auto" });
    document.body.append(el);
    return el;
  };

  /** After the frame in which `ready` is first true has been painted. */
  const painted = (ready) =>
    new Promise((resolve) => {
      const look = () => {
        if (!ready()) return requestAnimationFrame(look);
        requestAnimationFrame(() => {
          const channel = new MessageChannel(); // a task behind the paint
          channel.port1.onmessage = () => resolve(performance.now());
          channel.port2.postMessage(null);
        });
      };
      look();
    });

  const show = async (view, start, host = null) => {
    const { HttpHost, ShellHost } = await import(`${base}views/hosts.js`);
    const { mount } = await import(`${base}views/${view}.js`);
    const el = stage();
    const place = { start: () => start, here: () => undefined, open: () => undefined };
    unmount = mount(el, new ShellHost(host ?? new HttpHost(base), place));
    return el;
  };

  /** A job of many points that goes on; `next()` lets one more point come. */
  const longJob = (points, pageSize) => {
    const at = new Date(0).toISOString();
    const job = {
      id: "jb_0", name: "long", tenant: "@bench", task: "training-v0", base_model: "tiny", dataset: "@bench/visits@1",
      state: "training", reason: null, position: null, cancel_requested: false, queue: "default", progress: 0.5,
      attempts: 1, adapter: null, adapter_id: null, created_at: at, queued_at: at, started_at: at, finished_at: null,
      state_at: at, summary: null, options: {},
    };
    const metrics = (seq) => ({
      seq, at, kind: "metrics",
      data: { step: seq, epoch: seq / 1000, step_epoch: Math.floor(seq / 1000), learning_rate: 1e-4 * (1 - seq / (2 * points)), loss: 3 / Math.log(seq + 2) + Math.sin(seq * 12.9898) / 5 },
    });
    let seq = points;
    let wake = () => undefined;
    const answers = {
      "jobs.get": () => job,
      "tasks.list": () => ({ items: [], has_more: false }),
      "jobs.log": () => ({ items: [], has_more: false }),
      "jobs.metrics": ({ after = 0 }) => {
        const first = Number(after) + 1;
        const last = Math.min(first + pageSize - 1, points);
        const items = [];
        for (let number = first; number <= last; number++) items.push(metrics(number));
        return { items, has_more: last < points };
      },
    };
    const host = {
      call: async (verb, args = {}) => answers[verb](args),
      async *stream(_verb, _args, signal) {
        while (!signal.aborted) {
          await new Promise((resolve) => {
            wake = resolve;
            signal.addEventListener("abort", resolve);
          });
          if (!signal.aborted) yield metrics(++seq);
        }
      },
    };
    return { host, next: () => wake() };
  };

  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  const showTable = async (dataset) => {
    performance.mark("begin");
    const el = await show("curate", { dataset });
    const rows = () => [...el.querySelectorAll("[role=row][aria-rowindex]")];
    await painted(() => rows().some((row) => row.textContent.includes("Write up visit")));
    performance.mark("painted");
  };

  const peerTable = async (count) => {
    const el = stage();
    const data = Array.from({ length: count }, (_, i) => ({
      id: i, kind: "Chat", user: `Write up visit ${i}.`, answer: `Subjective: ${i % 30} days.`, length: 80 + (i % 90),
    }));
    performance.mark("begin");
    const columns = ["id", "kind", "user", "answer", "length"].map((field) => ({ title: field, field }));
    new Tabulator(el, { data, columns, height: "100%" });
    await painted(() => el.querySelectorAll(".tabulator-row").length > 5);
    performance.mark("painted");
  };

  const update = async (updates, pauseMs, next) => {
    await pause(500);
    performance.mark("begin");
    for (let i = 0; i < updates; i++) {
      next(i);
      await pause(pauseMs);
    }
    performance.mark("end");
  };

  const showCharts = async ([points, size, updates, pauseMs]) => {
    const job = longJob(points, size);
    const el = await show("watch", { job: "jb_0" }, job.host);
    await painted(() => el.textContent.includes(points.toLocaleString()));
    await update(updates, pauseMs, () => job.next());
    const shown = () => el.textContent.includes((points + updates).toLocaleString());
    await Promise.race([painted(shown), pause(5000)]);
    if (!shown()) throw new Error("the updates were not shown");
  };

  const peerCharts = async ([count, updates, pauseMs]) => {
    const el = stage();
    const [x, y] = [[], []];
    for (let i = 0; i < count; i++) {
      x.push(i);
      y.push(3 / Math.log(i + 2) + Math.sin(i * 12.9898) / 5);
    }
    const options = { width: 550, height: 200, scales: { x: { time: false } }, series: [{}, { stroke: "blue" }] };
    const charts = [1, 2, 3, 4].map(() => new uPlot(options, [x, y], el));
    await update(updates, pauseMs, (i) => {
      x.push(count + i);
      y.push(0.3);
      for (const chart of charts) chart.setData([x, y]);
    });
  };

  /** From now on, mark when the answer with this number has its first words; they are painted next. */
  const waitForToken = (number) => {
    performance.clearMarks();
    const said = () => document.querySelectorAll("#bench-stage .said")[number]?.textContent.trim();
    window.bench.firstToken = new Promise((resolve) => {
      const watcher = new MutationObserver(() => {
        if (!said()) return;
        watcher.disconnect();
        resolve((performance.timeOrigin + performance.mark("token").startTime) / 1000);
      });
      watcher.observe(document.getElementById("bench-stage"), { childList: true, characterData: true, subtree: true });
    });
  };

  return { show, showTable, peerTable, showCharts, peerCharts, waitForToken };
})();
