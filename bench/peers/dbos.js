// DBOS: a workflow of ten steps, each of which returns a number.
import { DBOS } from '@dbos-inc/dbos-sdk';

const workflow = DBOS.registerWorkflow(async steps => {
    for (let node = 0; node < steps; node++)
        await DBOS.runStep(async () => node * 1.5, { name: `step-${node}` });
}, { name: 'run' });

export async function connect(url, connections, steps = 10) {
    DBOS.setConfig({ name: 'bench', systemDatabaseUrl: url, systemDatabasePoolSize: connections, logLevel: 'error' });
    await DBOS.launch();
    return () => workflow(steps);
}
