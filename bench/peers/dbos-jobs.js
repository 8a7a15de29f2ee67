// DBOS: a workflow without steps.
import { connect as connectTo } from './dbos.js';

export const connect = (url, connections) => connectTo(url, connections, 0);
