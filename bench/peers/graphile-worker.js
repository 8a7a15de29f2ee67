// graphile-worker: add a job and wait until its worker has completed it, in this process.
import { EventEmitter } from 'node:events';
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import pg from 'pg';

export async function connect(url, connections, worker = {}) {
    const pgPool = new pg.Pool({ connectionString: url, max: connections });
    const logger = new Logger(() => () => {});
    const events = new EventEmitter();
    const completed = new Map();   // by id: a job may be done before its sender knows that it was sent
    events.on('job:complete', ({ job }) => {
        const known = completed.get(job.id);
        completed.set(job.id, true);
        if (typeof known === 'function') {
            completed.delete(job.id);
            known();
        }
    });
    const utils = await makeWorkerUtils({ pgPool, logger });
    await utils.migrate();
    await run({
        pgPool,
        logger,
        taskList: { bench: () => {} },
        events,
        noHandleSignals: true,
        preset: { worker: { concurrentJobs: 32, pollInterval: 2000, ...worker } },
    });
    return async () => {
        const job = await utils.addJob('bench', {});
        if (completed.delete(job.id))
            return;
        await new Promise(resolve => completed.set(job.id, resolve));
    };
}
