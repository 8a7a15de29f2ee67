-- The tables of the system that Flowstone re-implements, as far as runs are concerned.
--
-- Where this comes from: the columns are those that the original's description lists for WorkflowExecution and NodeExecution (status,
-- times, int4 duration, trigger/input/output/error/executionData/metadata as JSON in the row, retries, priority, parent; node id, name,
-- type, input, output, error), in the form in which Prisma creates them: text ids, enum types, timestamp(3), jsonb, quoted camel case.
-- The description names the parent's missing index and no other; here are only those without which its own repository's queries (by workflow, by
-- user, active by status, retention by start, nodes of an execution) would read whole tables. The real one may have had more.
-- "{id}" is text or uuid: Prisma's default is text; the storage benchmark tells both.

create type "ExecutionStatus" as enum ('PENDING', 'RUNNING', 'SUCCESS', 'FAILED', 'CANCELLED', 'TIMEOUT');

create table users (
    id {id} primary key,
    email text not null unique
);

create table workflows (
    id {id} primary key,
    name text not null,
    "userId" {id} not null references users (id) on update cascade
);

create table workflow_executions (
    id {id} primary key,
    "workflowId" {id} not null references workflows (id) on update cascade,
    "userId" {id} not null references users (id) on update cascade,
    version integer not null default 1,
    status "ExecutionStatus" not null default 'PENDING',
    "startedAt" timestamp(3) not null default current_timestamp,
    "finishedAt" timestamp(3),
    duration integer,
    "triggerData" jsonb,
    "inputData" jsonb,
    "outputData" jsonb,
    error jsonb,
    "executionData" jsonb,
    metadata jsonb,
    "retryCount" integer not null default 0,
    "maxRetries" integer not null default 3,
    priority integer not null default 0,
    "parentExecutionId" {id} references workflow_executions (id) on update cascade
);

create index on workflow_executions ("workflowId");
create index on workflow_executions ("userId");
create index on workflow_executions (status);
create index on workflow_executions ("startedAt");

create table node_executions (
    id {id} primary key,
    "executionId" {id} not null references workflow_executions (id) on update cascade on delete cascade,
    "nodeId" text not null,
    "nodeName" text not null,
    "nodeType" text not null,
    status "ExecutionStatus" not null default 'PENDING',
    "startedAt" timestamp(3) not null default current_timestamp,
    "finishedAt" timestamp(3),
    duration integer,
    "inputData" jsonb,
    "outputData" jsonb,
    error jsonb,
    "retryCount" integer not null default 0
);

create index on node_executions ("executionId");
