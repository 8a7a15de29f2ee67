// pg-boss: send a job, fetch one, complete it.
import PgBoss from 'pg-boss';

export async function connect(url, connections) {
    const boss = new PgBoss({ connectionString: url, max: connections, supervise: false, schedule: false });
    boss.on('error', error => console.error(error));
    await boss.start();
    await boss.createQueue('bench');
    return async () => {
        await boss.send('bench', {});
        let jobs;
        do
            jobs = await boss.fetch('bench');
        while (jobs.length === 0);
        await boss.complete('bench', jobs[0].id);
    };
}
