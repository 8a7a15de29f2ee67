// The original's repositories: an execution is created, updated with reads in between, and each node is created and updated. Durations are
// computed from the row that is read first, as the original's update does.
import { PrismaPg } from '@prisma/adapter-pg';
import { PrismaClient } from './generated/client.js';

export async function connect(url, connections) {
    const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: url, max: connections }) });
    const user = await prisma.user.create({ data: { email: 'bench@example.com' } });
    const workflow = await prisma.workflow.create({ data: { name: 'Ten steps', userId: user.id } });

    return async () => {
        const execution = await prisma.workflowExecution.create({ data: { workflowId: workflow.id, userId: user.id, triggerData: {} } });
        await update(prisma.workflowExecution, execution.id, { status: 'RUNNING' });
        for (let i = 0; i < 10; i++) {
            const node = await prisma.nodeExecution.create({
                data: { executionId: execution.id, nodeId: `step-${i}`, nodeName: `Step ${i}`, nodeType: 'bench.step', status: 'RUNNING' },
            });
            await update(prisma.nodeExecution, node.id, { status: 'SUCCESS', finishedAt: new Date(), outputData: i * 1.5 });
        }
        await update(prisma.workflowExecution, execution.id, { status: 'SUCCESS', finishedAt: new Date() });
    };
}

async function update(model, id, data) {
    if (data.finishedAt) {
        const { startedAt } = await model.findUnique({ where: { id } });
        data.duration = data.finishedAt - startedAt;
    }
    return model.update({ where: { id }, data });
}
