import { createServer, type IncomingMessage, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DeadLetter, JobAlert } from '../../packages/keystride/src/contract/alerts.ts';
import { alertBody } from '../../packages/keystride/src/operations/alert-body.ts';
import { postToWebhook, WebhookRefused } from '../../packages/keystride/src/stores/http/webhook.ts';

const place = { workflowId: 'w', runId: 'r', uiUrl: null, at: '2025-10-01T00:00:00.000Z' };

const alert: JobAlert = {
  ...{ kind: 'failed', job: 'fixture', instance: 'fixture:run=1', ...place },
  ...{ step: 'items', partitions: [3], reason: 'step items failed. <!channel> & "</script>"\nline two' },
  steps: [
    {
      ...{ step: 'items', status: 'open', expected: null, partitions: { total: 8, done: 2 } },
      ...{ read: 10, readSkipped: 0, written: 7, filtered: 1, skipped: 2 },
    },
  ],
  next: ['See it: keystride status w'],
};

const letter: DeadLetter = {
  ...{ kind: 'deadLetter', job: 'fixture', instance: 'fixture:run=1', ...place },
  ...{ step: 'items', partition: 3, key: '<@U1>', phase: 'write', code: 'SQLSTATE_23514' },
  ...{ fingerprint: 'f', message: 'the database refused a value', attempts: 4 },
};

describe('the body of an alert', () => {
  test('is the alert itself', () => {
    expect(alertBody(alert, 'json')).toEqual(alert);
    expect(alertBody(letter, 'json')).toEqual(letter);
  });

  test('for Slack is text in which nobody can mention people or make links', () => {
    expect(alertBody(alert, 'slack')).toEqual({
      text: [
        '*fixture:run=1* :red_circle: failed in step items, partition 3',
        '> step items failed. &lt;!channel&gt; &amp; "&lt;/script&gt;" line two',
        'items open: read 10 · written 7 · filtered 1 · skipped 2 · partitions 2/8',
        '• See it: keystride status w',
      ].join('\n'),
    });
    expect(alertBody(letter, 'slack')).toEqual({
      text: [
        '*fixture:run=1* :red_circle: item &lt;@U1&gt; failed',
        '> the database refused a value',
        'step items, partition 3, write, SQLSTATE_23514, attempt 4',
      ].join('\n'),
    });
  });

  test('is no longer than a message may be', () => {
    const { text } = alertBody({ ...alert, reason: 'x'.repeat(50_000) }, 'slack') as { text: string };
    expect(text.length).toBeLessThan(3_500);
  });
});

describe('a webhook', () => {
  let server: Server;
  let host: string;
  let requests: IncomingMessage[];
  let answer: { status: number; headers: Record<string, string> };

  beforeEach(async () => {
    requests = [];
    answer = { status: 200, headers: {} };
    server = createServer((request, response) => {
      requests.push(request);
      request.resume().on('end', () => response.writeHead(answer.status, answer.headers).end('ok'));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterEach(() => {
    server.close();
    server.closeAllConnections();
  });

  const post = (address: string, signal = new AbortController().signal) =>
    postToWebhook(address, {}, signal).catch((error: unknown) => error);

  test('with a user in its address is sent him as a header', async () => {
    expect(await post(`http://ann:s3%20cret@${host}/hook`)).toBe(200);
    expect(requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from('ann:s3 cret').toString('base64')}`);
  });

  test('that refuses says when to come again', async () => {
    answer = { status: 429, headers: { 'retry-after': '7' } };
    const error = await post(`http://${host}/t0ken`);
    expect(error).toBeInstanceOf(WebhookRefused);
    expect(error).toMatchObject({ message: `the webhook at ${host} answered 429`, retryAfterMs: 7000 });
  });

  test('that sends somewhere else is not followed there', async () => {
    answer = { status: 307, headers: { location: `http://${host}/elsewhere` } };
    expect(await post(`http://${host}/t0ken`)).toMatchObject({
      message: `the webhook at ${host} answered 307`,
    });
    expect(requests).toHaveLength(1);
  });

  test('that is away, or whose call is given up, is told by its host alone', async () => {
    const given = AbortSignal.abort();
    expect(await post(`http://ann:s3cret@${host}/t0ken`, given)).toMatchObject({
      message: `the webhook at ${host} did not answer (AbortError)`,
    });
    server.close();
    server.closeAllConnections();
    expect(await post(`http://ann:s3cret@${host}/t0ken`)).toMatchObject({
      message: `the webhook at ${host} did not answer (ECONNREFUSED)`,
    });
  });
});
