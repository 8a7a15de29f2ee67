// graphile-worker with its local queue: jobs are fetched and completed in batches.
import { connect as connectTo } from './graphile-worker.js';

export const connect = (url, connections) => connectTo(url, connections, { localQueue: { size: 64 }, completeJobBatchDelay: 0 });
