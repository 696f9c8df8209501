// fhirclient's browser build, launched alone and by our gallery, by somebody who has a keyboard and no mouse.
import { allow, asked, choosePatient, pressAllow, profile, signIn, stage, tabTo, told } from './stage.mjs';

async function standalone(context) {
  const page = await context.newPage();
  await page.goto(`${asked.origin}/launch.html`);
  await signIn(page, 'doctor');
  await choosePatient(page, asked.patient);
  await allow(page);
  return told(page);
}

async function fromTheGallery(context) {
  const page = await context.newPage();
  await page.goto(`${asked.issuer}/apps`);
  await signIn(page, 'doctor');
  await page.waitForSelector('button.person');
  await tabTo(page, `button.person[value=${asked.other}]`);
  await page.keyboard.press('Enter');
  await page.waitForSelector('.chosen, [aria-current]');
  await tabTo(page, `form:has(input[value=${asked.clientId}]) button`);
  const opened = context.waitForEvent('page');
  await page.keyboard.press('Enter');
  const app = await opened;
  await allow(app);
  return { ...await told(app), opener: await app.evaluate(() => window.opener !== null) };
}

// Redirects of a form's answer are held to form-action by Chromium: every way from a form straight to the app is walked.
async function requests(context, clientId, scope = 'launch/patient patient/Patient.rs') {
  const page = await context.newPage();
  const request = new URLSearchParams({
    response_type: 'code', client_id: clientId, redirect_uri: `${asked.origin}/landed.html`, state: 'a-state',
    scope, aud: asked.base,
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256',
  });
  const start = async () => page.goto(`${asked.issuer}/authorize?${request}`);
  const landed = async () => {
    await page.waitForURL(`${asked.origin}/landed.html**`);
    const { code, error } = Object.fromEntries(new URL(page.url()).searchParams);
    return code ? 'a code' : error;
  };
  return { page, start, landed };
}

async function loginStraightToTheApp(context) {
  const { page, start, landed } = await requests(context, 'house-browser-app');
  await start();
  await signIn(page, 'patient');
  return landed();
}

async function rememberedConsent(context) {
  const { page, start, landed } = await requests(context, 'secret-browser-app');
  await start();
  await signIn(page, 'doctor');
  await choosePatient(page, asked.patient);
  await page.waitForSelector('#remember');
  await tabTo(page, '#remember');
  await page.keyboard.press('Space');
  await allow(page);
  await landed();
  await start();
  await choosePatient(page, asked.patient);
  return landed();
}

async function cancelled(context) {
  const { page, start, landed } = await requests(context, 'browser-app');
  await start();
  await page.waitForSelector('button[value=cancel]');
  await tabTo(page, 'button[value=cancel]');
  await page.keyboard.press('Enter');
  return landed();
}

async function patientDecides(context) {
  const { page, start, landed } = await requests(context, 'browser-app', 'patient/Condition.rs offline_access');
  await start();
  await signIn(page, 'patient');
  await pressAllow(page);
  const held = await page.evaluate(() => document.activeElement.matches('.row-sensitive input:invalid'));
  await tabTo(page, '.row-sensitive input');
  await page.keyboard.press('Space');
  await page.keyboard.press('ArrowRight');
  const answer = await page.evaluate(() => document.querySelector('.row-sensitive input:checked').value);
  await pressAllow(page);
  return { held, answer, outcome: await landed() };
}

// The same page under an origin that no client has registered.
async function strangers(browser) {
  const context = await profile(browser, []);
  const page = await context.newPage();
  await page.goto(`${asked.origin.replace('localhost', '127.0.0.1')}/landed.html`);
  const read = (url) => page.evaluate((address) => fetch(address, { headers: { authorization: 'Bearer x' } })
    .then(({ status }) => status, () => 'kept from it'), url);
  const outcome = {
    discovery: await read(`${asked.base}/.well-known/smart-configuration`),
    statement: await read(`${asked.base}/metadata`),
    records: await read(`${asked.base}/Patient/${asked.patient}`),
    token: await read(`${asked.issuer}/token`),
  };
  await context.close();
  return outcome;
}

async function control(browser) {
  const noted = [];
  const context = await profile(browser, noted);
  await (await context.newPage()).goto(`${asked.origin}/control.html`);
  await context.close();
  return noted.filter((complaint) => complaint.includes('Content Security Policy')).length;
}

await stage(async (browser, complaints) => {
  const outcomes = {};
  for (const play of [standalone, fromTheGallery, loginStraightToTheApp, rememberedConsent, patientDecides, cancelled]) {
    const context = await profile(browser, complaints);
    outcomes[play.name] = await play(context).catch(async (error) => {
      const pages = await Promise.all(context.pages().map(async (page) => `${page.url()} ${await page.title()}`));
      return `${error}\n${pages.join('\n')}`;
    });
    await context.close();
  }
  return { ...outcomes, strangers: await strangers(browser), 'a page that breaks its policy': await control(browser) };
});
