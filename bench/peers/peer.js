// One peer in a process of its own: node peer.js NAME DATABASE_URL CONNECTIONS
// Reads requests, writes answers, a line of JSON each: {"callers": 32, "seconds": 5} → {"completed": …, "elapsed": …, "p50": …, "p99": …, "cpu": …} (ms).
import { createInterface } from 'node:readline';

const [name, url, connections] = process.argv.slice(2);
const { connect } = await import(`./${name}.js`);
const once = await connect(url, Number(connections));
answer({ ready: true });

for await (const line of createInterface({ input: process.stdin }))
    answer(await round(JSON.parse(line)));
process.exit(0);

// Keeps the callers busy for the time, as Rounds.cs does; what was begun within it is ended, and counts.
async function round({ callers, seconds }) {
    const times = [];
    const cpu = process.cpuUsage();
    const start = performance.now();
    await Promise.all(Array.from({ length: callers }, async () => {
        do {
            const began = performance.now();
            await once();
            times.push(performance.now() - began);
        } while (performance.now() < start + seconds * 1000);
    }));
    const elapsed = performance.now() - start;
    const used = process.cpuUsage(cpu);
    times.sort((a, b) => a - b);
    return {
        completed: times.length,
        elapsed,
        p50: times[Math.floor(times.length / 2)],
        p99: times[Math.floor(times.length * 0.99)],
        cpu: (used.user + used.system) / 1000,
    };
}

// Past console.log, which libraries use.
function answer(value) {
    process.stdout.write(`\u001e${JSON.stringify(value)}\n`);
}
