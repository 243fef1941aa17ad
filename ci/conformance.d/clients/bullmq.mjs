// BullMQ: a queue with workers, whose every step is a script.

import { Queue, QueueEvents, Worker, FlowProducer } from "bullmq";
import { page, failure, sorted } from "./page.mjs";

const connection = { host: process.env.REDIS_HOST, port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null };
const examples = page();

function closed(use, thing) {
  use.push(() => thing.close().catch(() => {}));
  return thing;
}

examples.add("jobs, results and events", async (use) => {
  const queue = closed(use, new Queue("Paint", { connection })), events = closed(use, new QueueEvents("Paint", { connection }));
  await events.waitUntilReady();
  const jobs = [await queue.add("cars", { color: "blue" }), await queue.add("houses", { color: "red" }, { priority: 1 })];
  const waiting = await queue.getJobCounts("waiting", "prioritized");
  closed(use, new Worker("Paint", async (job) => {
    await job.updateProgress(50);
    return `${job.name} in ${job.data.color}`;
  }, { connection }));
  const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 8000)));
  return [waiting, results, await queue.getJobCounts("completed", "failed", "waiting"), (await queue.getCompleted()).map((job) => job.name).sort()];
});

examples.add("retries, delays and failures", async (use) => {
  const queue = closed(use, new Queue("retry", { connection })), events = closed(use, new QueueEvents("retry", { connection }));
  await events.waitUntilReady();
  closed(use, new Worker("retry", async (job) => {
    if (job.name === "never" || job.attemptsMade < 1) throw new Error("not yet");
    return job.attemptsMade;
  }, { connection }));
  const second = await queue.add("second", {}, { attempts: 3, backoff: { type: "fixed", delay: 20 } });
  const never = await queue.add("never", {}, { attempts: 2 });
  const late = await queue.add("late", {}, { delay: 30, attempts: 2 });
  return [await second.waitUntilFinished(events, 8000), await failure(never.waitUntilFinished(events, 8000)), await late.waitUntilFinished(events, 8000),
    (await queue.getFailed()).map((job) => [job.name, job.failedReason, job.attemptsMade])];
});

examples.add("bulk, pause, drain, flows", async (use) => {
  const queue = closed(use, new Queue("bulk", { connection })), events = closed(use, new QueueEvents("parents", { connection }));
  await events.waitUntilReady();
  await queue.addBulk([1, 2, 3].map((at) => ({ name: `job ${at}`, data: { at }, opts: { jobId: `id-${at}` } })));
  await queue.add("job 1", {}, { jobId: "id-1" });
  await queue.pause();
  const seen = [await queue.count(), await queue.isPaused(), sorted((await queue.getJobs()).map((job) => job.id))];
  await queue.resume();
  await queue.drain();
  seen.push(await queue.count());
  const flow = closed(use, new FlowProducer({ connection }));
  closed(use, new Worker("children", async (job) => job.data.n * 2, { connection }));
  closed(use, new Worker("parents", async (job) => Object.values(await job.getChildrenValues()).sort(), { connection }));
  const { job } = await flow.add({ name: "sum", queueName: "parents", children: [1, 2].map((n) => ({ name: "part", data: { n }, queueName: "children" })) });
  seen.push(await job.waitUntilFinished(events, 8000));
  await queue.obliterate();
  return seen;
});

await examples.run(process.env.REDIS_HOST, process.env.REDIS_PORT);
