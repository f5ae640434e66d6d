import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { keystride } from '../cli/support.ts';
import { leftBehind } from '../support/left-behind.ts';
import { emptyTarget, openStores, ticketKey, type Stores } from '../support/migration.ts';
import { createWorld, type World } from '../support/stack.ts';

/** Stands in rows, documents and secrets, and nowhere in what a run leaves. */
const canary = 'canary7f3a';

let world: World;
let stores: Stores;
let outside: Server;
let url: string;
let bodies: Record<string, string | Buffer>;
let told: string[];

beforeAll(async () => {
  world = await createWorld();
  stores = openStores(world);
  told = [];
  outside = createServer((request, response) => {
    if (request.method === 'POST') {
      request.setEncoding('utf8').on('data', (text: string) => void told.push(text));
      request.on('end', () => response.end());
      return;
    }
    const key = decodeURIComponent(request.url?.split('/')[2] ?? '');
    const body = bodies[key] ?? JSON.stringify({ ticketKey: key, sentences: [{ no: 1, text: canary }] });
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
  });
  outside.listen(0, '127.0.0.1');
  await once(outside, 'listening');
  url = `http://127.0.0.1:${(outside.address() as AddressInfo).port}`;
  await world.startWorker({
    environment: {
      LEGACY_API_URL: url,
      ALERT_WEBHOOK_URL: `${url}/${canary}`,
      DEAD_LETTER_WEBHOOK_URL: `${url}/${canary}`,
    },
  });
});

afterAll(async () => {
  outside?.closeAllConnections();
  outside?.close();
  await stores?.close();
  await world?.dispose();
});

beforeEach(async () => {
  bodies = {};
  await emptyTarget(world, stores);
});

/** Everything that runs have left, webhooks and what an operator is shown among it. */
async function left(workflowId: string): Promise<string> {
  const { stdout, stderr } = await keystride(['status', workflowId], world.environment);
  return [...told, await leftBehind(world, stores), stdout, stderr].join('\n');
}

async function ending(job: string, parameters: object): Promise<{ message: string; workflowId: string }> {
  const handle = await world.start(job, parameters);
  const message = await handle.result().then(
    (report) => JSON.stringify(report),
    (error: unknown) => String((error as Error).cause ?? error),
  );
  return { message, workflowId: handle.workflowId };
}

async function addTarget(): Promise<void> {
  await stores.migration.query(
    "INSERT INTO migration_target (ticket_key) SELECT format('T-%s', lpad(i::text, 7, '0')) FROM generate_series(1, 60) AS i",
  );
}

const sentence = (fields: string) => (key: string) =>
  `{"ticketKey":"${key}","sentences":[{"no":1,"text":"x","tree":${fields}}]}`;

describe('a document', () => {
  test.each([
    ['that is not JSON', () => `{"${canary}`, /MALFORMED_BODY/u],
    ['that is another one', () => JSON.stringify({ ticketKey: canary }), /MALFORMED_BODY/u],
    ['with a number that would be rounded', sentence(`["${canary}",9007199254740993]`), /UNACCEPTABLE/u],
    ['with a key twice', sentence(`{"${canary}":1,"${canary}":2}`), /UNACCEPTABLE/u],
    ['with half of a character', sentence(String.raw`["${canary}\ud800"]`), /UNACCEPTABLE/u],
    ['that is not UTF-8', () => Buffer.from([0x22, 0xc3, 0x28, ...Buffer.from(canary)]), /MALFORMED_BODY/u],
  ])('%s fails by its key, and its content is nowhere', async (_, make, code) => {
    await addTarget();
    bodies[ticketKey(17)] = make(ticketKey(17));
    const { message, workflowId } = await ending('documentMigration', {});
    expect(message).toMatch(/key 17 /u);
    expect(message).toMatch(code);
    expect(await left(workflowId)).not.toContain(canary);
  });

  test.each([
    ['small numbers by the hundred thousand', () => `[${'1,'.repeat(2_500_000)}1]`],
    ['three hundred levels', () => '['.repeat(300) + ']'.repeat(300)],
    ['keys that MongoDB takes for its own', () => '{"$set":{"a.b":1}}'],
    ['a zero byte', () => String.raw`"a\u0000b"`],
  ])('of %s is stored whole, and verified', async (_, make) => {
    await addTarget();
    bodies[ticketKey(17)] = sentence(make())(ticketKey(17));
    const { message } = await ending('documentMigration', {});
    expect(message).toContain('"status":"completed"');
    expect(await stores.mongo.collection('sentences.files').countDocuments()).toBe(1);
  });
});

describe('a row', () => {
  const raise = (body: string) => `
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body} RETURN NEW; END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION refuse()`;

  test.each([
    [
      'a trigger raises',
      raise(`RAISE 'order of % is locked', NEW.status || '${canary}';`),
      /SQLSTATE P0001/u,
    ],
    [
      'a trigger raises with a code, a detail and a hint',
      raise(`RAISE '%', '${canary}' USING ERRCODE = '55000', DETAIL = '${canary}', HINT = '${canary}';`),
      /SQLSTATE 55000/u,
    ],
    ['a trigger names', raise(`EXECUTE 'SELECT ' || quote_ident('${canary}');`), /SQLSTATE 42703/u],
    ['a trigger cannot parse', raise(`EXECUTE 'SELECT !! ${canary} ((';`), /SQLSTATE 42/u],
    ['a trigger casts', raise(`PERFORM '${canary}'::text::int;`), /SQLSTATE 22P02/u],
    [
      'an index cannot take',
      `CREATE FUNCTION odd(text) RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT ('${canary}' || $1)::int $$;
       ALTER TABLE orders ADD CONSTRAINT odd CHECK (purchase_confirmed_at IS NULL OR odd(status) > 0) NOT VALID`,
      /SQLSTATE/u,
    ],
  ])('that %s leaves its SQLSTATE and nothing it holds', async (_, sql, code) => {
    await stores.migration.query(sql);
    try {
      await keystride(['demo-data', 'orders', '--count', '100'], world.environment);
      const { message, workflowId } = await ending('purchaseConfirmation', { deliveredBefore: '2099-01-01' });
      expect(message).toMatch(code);
      expect(await left(workflowId)).not.toContain(canary);
    } finally {
      await stores.migration.query(`DROP TRIGGER IF EXISTS refuse ON orders; DROP FUNCTION IF EXISTS refuse();
        ALTER TABLE orders DROP CONSTRAINT IF EXISTS odd; DROP FUNCTION IF EXISTS odd(text);
        TRUNCATE orders; DELETE FROM keystride.instance`);
    }
  });
});

describe('a secret', () => {
  test.each([
    ['DATABASE_URL', `postgres://ann:${canary}@127.0.0.1:1/x`],
    ['DATABASE_URL', `postgres://ann:${canary},more@127.0.0.1:1,127.0.0.1:2/x`],
    ['DATABASE_URL', `postgres://ann:${canary}/more@127.0.0.1:1/x`],
    ['DATABASE_URL', `postgres://ann:%zz${canary}@127.0.0.1:1/x`],
    ['DATABASE_URL', `postgres://ann:${canary}?x@127.0.0.1:1/x`],
    ['DATABASE_URL', `postgres://ann:${canary}/x`],
    ['MONGODB_URL', `mongodb://ann:${canary},more@127.0.0.1:1/x`],
    ['MONGODB_URL', `mongodb://ann:${canary}/more@127.0.0.1:1/x`],
    ['MONGODB_URL', `mongodb://ann:${canary}:x@127.0.0.1:1/x`],
    ['MONGODB_URL', `mongodb://ann:%zz${canary}@127.0.0.1:1/x`],
    ['MONGODB_URL', `mongodb://ann:x?${canary}=1@127.0.0.1:1/x`],
    ['MONGODB_URL', `mongodb://127.0.0.1:1/x?${canary}=1`],
    ['LEGACY_API_URL', `http://ann:${canary}@127.0.0.1:1`],
    ['LEGACY_API_URL', `http//${canary}`],
    ['ALERT_WEBHOOK_URL', `hooks.test/${canary}`],
    ['TEMPORAL_ADDRESS', `https://${canary}@127.0.0.1`],
  ])('of %s in a worker or command that cannot begin is not told: %s', async (variable, value) => {
    const environment = { ...world.environment, [variable]: value };
    const commands =
      variable === 'TEMPORAL_ADDRESS'
        ? [['list']]
        : [variable === 'DATABASE_URL' ? ['migrate'] : ['plan', 'evenNumbers']];
    for (const words of commands) {
      const { exitCode, stdout, stderr } = await keystride(words, environment);
      expect(`${stdout}${stderr}`).not.toContain(canary);
      expect(exitCode, stderr).not.toBe(0);
    }
  });
});
