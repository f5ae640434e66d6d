import { userInfo } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { action, largestBody } from '../../packages/keystride/src/console/action.ts';
import { html } from '../../packages/keystride/src/console/html.ts';
import { view, type Content } from '../../packages/keystride/src/console/view.ts';
import { ToldError } from '../../packages/keystride/src/contract/told-error.ts';
import { testConsole, type TestConsole } from './support.ts';

/** What the changes of a console have done, by whom. */
let done: { readonly who: string; readonly reason: string | undefined }[] = [];
let consoles: TestConsole[] = [];

afterEach(async () => {
  await Promise.all(consoles.map((console) => console.stop()));
  consoles = [];
  done = [];
});

const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>`;

/** A page and a change, and nothing behind them. */
const contents: readonly Content[] = [
  view({
    path: '/',
    section: 'runs',
    title: () => hostile,
    read: ({ who, query }) => Promise.resolve({ who, text: query('text') ?? '' }),
    parts: ({ text }) => ({ text: html`<p title="${text}">${text}</p>` }),
  }),
  action({
    path: '/change',
    section: 'runs',
    title: () => 'Change',
    read: () => Promise.resolve(undefined),
    form: (_, given) => html`<input name="reason" value="${given.one('reason') ?? ''}" />`,
    button: () => 'Do it',
    back: () => '/',
    act: (fields, { who }) => {
      if (fields.one('reason') === 'wrong') throw new ToldError('that is no reason');
      done.push({ who, reason: fields.one('reason') });
      return Promise.resolve({ to: '/', result: { done: true } });
    },
  }),
];

async function consoleWith(environment: NodeJS.ProcessEnv = {}): Promise<TestConsole> {
  const made = await testConsole(environment, { contents, banners: () => Promise.resolve([]) });
  consoles.push(made);
  return made;
}

const token = 'a-secret-of-this-console';

describe('what everything has', () => {
  test('headers that leave no room for scripts of others, frames, and caches', async () => {
    const console = await consoleWith();
    for (const path of ['/', '/change', '/assets/console.js', '/nowhere', '/api']) {
      const { headers } = await console.send(path);
      expect(headers['content-security-policy'], path).toBe(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
          "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
      );
      expect(headers, path).toMatchObject({
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'same-origin',
        'cache-control': 'no-store',
      });
    }
  });

  test('pages without a script, a style or a handler of their own', async () => {
    const console = await consoleWith();
    for (const path of ['/', '/change', '/nowhere']) {
      const { text } = await console.send(path);
      expect(text, path).not.toMatch(/<script(?! src="\/assets\/)|<style|<[^>]*\s(style|on[a-z]+)=/u);
    }
  });

  test('what others wrote stands as text, in content and in attributes', async () => {
    const console = await consoleWith();
    const { text } = await console.send(`/?text=${encodeURIComponent(hostile)}`);
    expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(text).not.toContain('<script>');
    expect(text).not.toContain('<img');
    const form = await console.send(`/change?reason=${encodeURIComponent(hostile)}`);
    expect(form.text).toContain('&lt;img');
    expect(form.text).not.toContain('<img');
  });

  test('a problem is a page with what to do, and JSON below /api', async () => {
    const console = await consoleWith();
    const page = await console.send('/nowhere');
    expect(page.status).toBe(404);
    expect(page.text).toContain('there is no such page');
    const answer = await console.send('/api/nowhere');
    expect(answer.json()).toEqual({
      error: { type: 'Refused', message: 'there is no such page', todo: expect.any(String) },
    });
  });

  test.each(['/assets/../package.json', '/assets/..%2f..%2fpackage.json', '/assets/%2e%2e/server.ts'])(
    'no file but those of the pages: %s',
    async (path) => {
      const console = await consoleWith();
      expect((await console.send(path)).status).toBe(404);
    },
  );

  test('the files of the pages are there', async () => {
    const console = await consoleWith();
    for (const name of ['console.css', 'console.js', 'icon.svg', 'uplot.css', 'uplot.js'])
      expect((await console.send(`/assets/${name}`)).status, name).toBe(200);
  });
});

describe('the name that it goes by', () => {
  test.each(['evil.example', 'evil.example:PORT', '127.0.0.1:1', 'localhost.evil.example:PORT'])(
    'is not %s',
    async (name) => {
      const console = await consoleWith();
      const host = name.replace('PORT', String(console.port));
      expect((await console.send('/', { headers: { host } })).status).toBe(421);
    },
  );

  test.each(['127.0.0.1:PORT', 'localhost:PORT', '[::1]:PORT'])('is %s', async (name) => {
    const console = await consoleWith();
    const host = name.replace('PORT', String(console.port));
    expect((await console.send('/', { headers: { host } })).status).toBe(200);
  });

  test('is that of KEYSTRIDE_CONSOLE_URL', async () => {
    const console = await consoleWith({ KEYSTRIDE_CONSOLE_URL: 'https://jobs.example.com' });
    const { status, headers } = await console.send('/', { headers: { host: 'jobs.example.com' } });
    expect(status).toBe(200);
    expect(headers['set-cookie']?.[0]).toMatch(/Secure/u);
    expect((await console.send('/', { headers: { host: 'other.example.com' } })).status).toBe(421);
  });
});

describe('a change', () => {
  test('is taken from a form of the console, and says who', async () => {
    const browser = (await consoleWith()).browser();
    const { status, headers } = await browser.fillIn('/change', { reason: 'because' });
    expect(status).toBe(303);
    expect(headers.location).toBe('/');
    expect(done).toEqual([{ who: userInfo().username, reason: 'because' }]);
  });

  test('that is not taken comes back with what was filled in, and why', async () => {
    const browser = (await consoleWith()).browser();
    const { status, text } = await browser.fillIn('/change', { reason: 'wrong' });
    expect(status).toBe(422);
    expect(text).toContain('that is no reason');
    expect(text).toContain('value="wrong"');
  });

  test.each([
    ['no token', ''],
    ['a made-up token', 'x'.repeat(43)],
  ])('with %s is refused', async (_, shown) => {
    const browser = (await consoleWith()).browser();
    await browser.get('/change');
    expect((await browser.post('/change', { token: shown })).status).toBe(403);
    expect(done).toEqual([]);
  });

  test('with the token of another session is refused', async () => {
    const console = await consoleWith();
    const [thief, victim] = [console.browser(), console.browser()];
    await thief.get('/change');
    const stolen = await victim.tokenAt('/change');
    expect((await thief.post('/change', { token: stolen })).status).toBe(403);
    expect((await victim.post('/change', { token: stolen })).status).toBe(303);
  });

  test('with a session that the browser has made up is refused', async () => {
    const console = await consoleWith();
    const { headers, text } = await console.send('/change');
    const [cookie = ''] = headers['set-cookie'] ?? [];
    const shown = /name="token" value="([^"]+)"/u.exec(text)?.[1] ?? '';
    // The token is right for that session; what proves that the console has made it is not.
    const forged = cookie.replace(/\.[\w-]+;.*$/u, `.${'x'.repeat(43)}`);
    const answer = await console.send('/change', {
      method: 'POST',
      headers: {
        cookie: forged,
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: `token=${shown}`,
    });
    expect(answer.status).toBe(403);
  });

  test.each([
    ['by its origin', { origin: 'https://evil.example' }],
    ['by an origin that names nobody', { origin: 'null' }],
    ['of this machine, by its port', { origin: 'http://127.0.0.1:1' }],
    ['by what the browser says of it', { 'sec-fetch-site': 'cross-site' }],
    ['of the same machine, by what the browser says', { 'sec-fetch-site': 'same-site' }],
  ])('from another site is refused, %s', async (_, headers) => {
    const browser = (await consoleWith()).browser();
    const shown = await browser.tokenAt('/change');
    expect((await browser.post('/change', { token: shown }, headers)).status).toBe(403);
    expect((await browser.post('/change', { token: shown })).status).toBe(303);
  });

  test('is taken as JSON with the session’s token in a header', async () => {
    const console = await consoleWith();
    const session = await console.send('/api/session');
    const { header, token: shown } = session.json() as { header: string; token: string };
    const cookie = session.headers['set-cookie']?.[0]?.split(';', 1)[0] ?? '';
    const post = (headers: Record<string, string>) =>
      console.send('/api/change', {
        method: 'POST',
        headers: { cookie, 'content-type': 'application/json', ...headers },
        body: '{"reason":"because"}',
      });
    expect((await post({})).status).toBe(403);
    expect((await post({ [header]: shown })).json()).toEqual({ done: true });
  });

  test('that is too large is refused', async () => {
    const browser = (await consoleWith()).browser();
    const shown = await browser.tokenAt('/change');
    const { status } = await browser.post('/change', { token: shown, reason: 'x'.repeat(largestBody) });
    expect(status).toBe(413);
    expect(done).toEqual([]);
  });

  test('is refused where the console is for looking alone', async () => {
    const browser = (await consoleWith({ KEYSTRIDE_CONSOLE_READ_ONLY: 'true' })).browser();
    const page = await browser.get('/change');
    expect(page.status).toBe(200);
    expect(page.text).toContain('read-only');
    expect(page.text).not.toContain('<button');
    expect((await browser.fillIn('/change', {})).status).toBe(403);
    expect(done).toEqual([]);
  });

  test('by any other method is refused too', async () => {
    const console = await consoleWith();
    for (const method of ['PUT', 'DELETE', 'PATCH'])
      expect((await console.send('/change', { method })).status, method).toBe(403);
  });
});

describe('who may come in', () => {
  test.each(['0.0.0.0:0', '[::]:0', 'jobs.example.com:0'])(
    'nobody, on %s, while it would be everybody',
    async (listen) => {
      await expect(consoleWith({ KEYSTRIDE_CONSOLE: listen })).rejects.toThrow(/KEYSTRIDE_CONSOLE_TOKEN/u);
    },
  );

  test('whoever shows the token in a header', async () => {
    const console = await consoleWith({ KEYSTRIDE_CONSOLE: '0.0.0.0:0', KEYSTRIDE_CONSOLE_TOKEN: token });
    const get = (authorization: string) => console.send('/api', { headers: { authorization } });
    expect((await get('')).status).toBe(401);
    expect((await get('Bearer wrong')).status).toBe(401);
    expect((await get(`Basic ${token}`)).status).toBe(401);
    expect((await get(`Bearer ${token}`)).json()).toMatchObject({ who: 'token' });
    const changed = await console.send('/api/change', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: '{}',
    });
    expect(changed.json()).toEqual({ done: true });
  });

  test('a browser that has signed in, by the name that it gave', async () => {
    const console = await consoleWith({ KEYSTRIDE_CONSOLE: '0.0.0.0:0', KEYSTRIDE_CONSOLE_TOKEN: token });
    const browser = console.browser();
    const away = await browser.get('/?text=a');
    expect(away.headers.location).toBe('/sign-in?to=%2F%3Ftext%3Da');
    const before = await browser.tokenAt('/sign-in');
    const wrong = await browser.fillIn('/sign-in', { who: 'Ada', secret: 'wrong', to: '/' });
    expect(wrong.status).toBe(401);
    const signedIn = await browser.fillIn('/sign-in', { who: 'Ada', secret: token, to: '/?text=a' });
    expect(signedIn.headers.location).toBe('/?text=a');
    expect((await browser.get('/api')).json()).toMatchObject({ who: 'Ada' });
    // What was known of the browser before it signed in is of no use any more.
    expect((await browser.post('/change', { token: before })).status).toBe(403);
    expect((await browser.fillIn('/change', { reason: 'mine' })).status).toBe(303);
    expect(done).toEqual([{ who: 'Ada', reason: 'mine' }]);
  });

  test.each(['https://evil.example/', '//evil.example/', String.raw`/\evil.example/`])(
    'and signing in leads to no other site: %s',
    async (to) => {
      const browser = (await consoleWith({ KEYSTRIDE_CONSOLE_TOKEN: token })).browser();
      const { headers } = await browser.fillIn('/sign-in', { who: 'Ada', secret: token, to });
      expect(headers.location).toBe('/');
    },
  );

  test('whoever a trusted proxy names', async () => {
    const proxied = {
      KEYSTRIDE_CONSOLE_OPERATOR_HEADER: 'X-Operator',
      KEYSTRIDE_CONSOLE_PROXIES: '127.0.0.0/8',
    };
    const console = await consoleWith(proxied);
    const named = await console.send('/api', { headers: { 'x-operator': 'grace' } });
    expect(named.json()).toMatchObject({ who: 'grace' });
    expect((await console.send('/')).status).toBe(401);
  });

  test('nobody whom another than the proxy names', async () => {
    const console = await consoleWith({
      KEYSTRIDE_CONSOLE_OPERATOR_HEADER: 'x-operator',
      KEYSTRIDE_CONSOLE_PROXIES: '10.1.2.3',
    });
    expect((await console.send('/', { headers: { 'x-operator': 'grace' } })).status).toBe(401);
  });

  test('a browser that follows a link from elsewhere keeps the session that it has', async () => {
    const console = await consoleWith();
    const { status, headers, text } = await console.send('/', {
      headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
    });
    expect(status).toBe(200);
    expect(headers['set-cookie']).toBeUndefined();
    expect(text).toContain('http-equiv="refresh"');
  });
});

test.each([
  ['KEYSTRIDE_CONSOLE', '9233', /is not like 127.0.0.1:9233/u],
  ['KEYSTRIDE_CONSOLE', '[127.0.0.1]:80', /is not like/u],
  ['KEYSTRIDE_CONSOLE_TOKEN', 'short', /shorter than 16 characters/u],
  ['KEYSTRIDE_CONSOLE_PROXIES', '10.0.0.0/33', /is not like 10.0.0.7/u],
  ['KEYSTRIDE_CONSOLE_OPERATOR_HEADER', 'x operator', /no name of a header/u],
  ['KEYSTRIDE_CONSOLE_OPERATOR_HEADER', 'x-operator', /set both or neither/u],
  ['KEYSTRIDE_CONSOLE_READ_ONLY', 'perhaps', /neither true nor false/u],
])('%s=%s is refused, and a secret not shown', async (variable, value, problem) => {
  await expect(consoleWith({ [variable]: value })).rejects.toThrow(problem);
});
