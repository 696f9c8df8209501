// A browser, an app of static pages at an address of its own, and a note of everything that the browser complains of.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const asked = JSON.parse(process.argv[2]);
const here = dirname(fileURLToPath(import.meta.url));
const library = join(dirname(createRequire(import.meta.url).resolve('fhirclient/package.json')), 'build/fhir-client.js');
const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8' };

/** Run `play(browser, complaints)`, and print what it tells together with the complaints. */
export async function stage(play) {
  const server = createServer(serve);
  await new Promise((ready) => server.listen(Number(new URL(asked.origin).port), '127.0.0.1', ready));
  const browser = await chromium.launch({
    executablePath: asked.chromium,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
  const complaints = [];
  try {
    console.log(JSON.stringify({ ...await play(browser, complaints), complaints }));
  } finally {
    await browser.close();
    server.closeAllConnections();
    server.close();
  }
}

/** A new browser profile whose pages are listened to. */
export async function profile(browser, complaints, options = {}) {
  const context = await browser.newContext({ locale: 'en-GB', timezoneId: 'Europe/Berlin', ...options });
  context.setDefaultTimeout(15_000);
  context.on('page', (page) => {
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(`${page.url()}: ${message.text()}`);
    });
    page.on('pageerror', (error) => complaints.push(`${page.url()}: ${error}`));
  });
  return context;
}

async function serve(request, response) {
  const { pathname } = new URL(request.url, asked.origin);
  if (pathname === '/config.js') {
    response.setHeader('content-type', types['.js']);
    const redirectUri = asked.page ?? 'app.html';
    const config = { clientId: asked.clientId, scope: asked.scope, iss: asked.base, redirectUri };
    response.end(`const config = ${JSON.stringify(config)};`);
    return;
  }
  if (pathname === '/control.html') response.setHeader('content-security-policy', "default-src 'none'");
  try {
    const body = await readFile(pathname === '/fhir-client.js' ? library : join(here, 'app', pathname.slice(1)));
    response.setHeader('content-type', types[extname(pathname)] ?? 'text/plain');
    response.end(body);
  } catch {
    response.writeHead(204).end();
  }
}

/** Press Tab until the element that has the focus matches, as somebody without a mouse does. */
export async function tabTo(page, selector) {
  for (let presses = 0; presses < 80; presses += 1) {
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted) ?? false, selector)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`no way to ${selector} by the Tab key on ${page.url()}`);
}

/** Sign in by the keyboard alone; the focus is in the first field to begin with. */
export async function signIn(page, username) {
  await page.waitForSelector('#username');
  await tabTo(page, '#username');
  await page.keyboard.type(username);
  await tabTo(page, '#password');
  await page.keyboard.type('demo');
  await page.keyboard.press('Enter');
}

/** Choose the patient by the keyboard: into the group by Tab, along it by the arrow keys, on by Enter. */
export async function choosePatient(page, reference) {
  await page.waitForSelector('input[name=patient]');
  await tabTo(page, 'input[name=patient]');
  await page.keyboard.press('Space');
  const chosen = () => page.evaluate(() => document.querySelector('input[name=patient]:checked')?.value);
  for (let presses = 0; await chosen() !== reference; presses += 1) {
    if (presses > 60) throw new Error(`no way to ${reference} by the arrow keys`);
    await page.keyboard.press('ArrowDown');
  }
  await tabTo(page, 'button[value=choose]');
  await page.keyboard.press('Enter');
}

/** Say yes to each sensitive line that has no answer yet: none is answered beforehand. */
export async function agreeToSensitive(page) {
  for (const row of await page.$$('.row-sensitive:not(:has(.answer :checked))')) {
    await (await row.$('.answer-all input')).check();
  }
}

/** Allow by the keyboard, sensitive lines too. */
export async function allow(page) {
  await page.waitForSelector('button[value=allow]');
  await agreeToSensitive(page);
  await pressAllow(page);
}

/** Press "Allow" with the answers as they are. */
export async function pressAllow(page) {
  await page.waitForSelector('button[value=allow]');
  await tabTo(page, 'button[value=allow]');
  await page.keyboard.press('Enter');
}

/** What the app in the page tells when it is done. */
export async function told(page, name = 'app.html') {
  await page.waitForURL(`${asked.origin}/${name}**`);
  await page.waitForFunction(() => window.told);
  return page.evaluate(() => window.told);
}
