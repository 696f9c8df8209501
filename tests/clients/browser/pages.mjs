// Every page without scripts: looked at in each width and colour, pictures kept, and measured where it is narrowest.
import { join } from 'node:path';
import { agreeToSensitive, asked, profile, stage } from './stage.mjs';

const WIDTHS = [390, 1200];
const NARROWEST = 320;

await stage(async (browser, complaints) => {
  const seen = {};

  async function look(page, name) {
    const size = (width) => page.setViewportSize({ width, height: 844 });
    if (asked.pictures) {
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        for (const width of WIDTHS) {
          await size(width);
          await page.screenshot({ path: join(asked.pictures, `${name}-${width}-${colorScheme}.png`), fullPage: true });
        }
      }
      await page.emulateMedia({ colorScheme: 'light' });
    }
    await size(NARROWEST);
    seen[name] = await page.evaluate(() => ({
      heading: document.querySelector('h1').textContent,
      remembers: document.querySelector('#remember') !== null,
      tooWide: Math.max(document.documentElement.scrollWidth - document.documentElement.clientWidth, 0),
      unnamed: [...document.querySelectorAll('input:not([type=hidden]), button')]
        .filter((one) => !(one.labels?.length || one.textContent.trim())).length,
      small: [...document.querySelectorAll('button, .button, .choice, .answer, .tick, summary')]
        .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 44)
        .map((one) => one.textContent.trim().replace(/\s+/g, ' ').slice(0, 60)),
    }));
    await size(1200);
  }

  const open = async (options = { javaScriptEnabled: false }) =>
    (await profile(browser, complaints, options)).newPage();

  const request = (clientId, scope) => `${asked.issuer}/authorize?${new URLSearchParams({
    response_type: 'code', client_id: clientId, redirect_uri: `${asked.origin}/landed.html`, state: 'a-state', scope,
    aud: asked.base, code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256',
  })}`;

  async function signIn(page, username, password = 'demo') {
    await page.fill('#username', username);
    await page.fill('#password', password);
    await page.click('main button:not([value=cancel])');
  }

  async function landed(page) {
    await page.waitForURL(`${asked.origin}/landed.html**`);
    return Object.fromEntries(new URL(page.url()).searchParams);
  }

  const exchange = async (code) => (await fetch(`${asked.issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code', code, client_id: 'browser-app', redirect_uri: `${asked.origin}/landed.html`,
      code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk',
    }),
  })).json();

  // A clinician, and every step that a request can have.
  const clinician = await open();
  await clinician.goto(request('browser-app', 'launch/patient launch/encounter openid fhirUser offline_access patient/*.rs user/Practitioner.rs'));
  await look(clinician, 'login');
  await signIn(clinician, 'doctor', 'wrong');
  await look(clinician, 'login-refused');
  await signIn(clinician, 'doctor');
  await clinician.waitForSelector('#name');
  await look(clinician, 'patient');
  await clinician.fill('#name', 'Nobody');
  await clinician.click('.search button');
  await look(clinician, 'patient-none');
  await clinician.fill('#name', '');
  await clinician.click('.search button');
  await clinician.check('input[name=patient][value=pat-a]');
  await clinician.click('button[value=choose]');
  await clinician.waitForSelector('input[name=encounter]');
  await look(clinician, 'encounter');
  await clinician.check('input[name=encounter] >> nth=0');
  await clinician.click('button[value=choose]');
  await clinician.waitForSelector('button[value=allow]');
  await look(clinician, 'consent');
  await clinician.check('.answer-some input');
  await clinician.click('.narrower summary >> nth=0');
  await look(clinician, 'consent-some');
  await clinician.check('input[type=checkbox][value="patient/Patient.rs"]');
  // By keyboard, to another patient, and back with what was ticked.
  await clinician.focus('button[value=allow]');
  for (const key of ['Tab', 'Tab', 'Enter']) await clinician.keyboard.press(key);
  await clinician.waitForSelector('#name');
  await clinician.check('input[name=patient][value=pat-b]');
  await clinician.click('button[value=choose]');
  await clinician.check('input[name=encounter] >> nth=0');
  await clinician.click('button[value=choose]');
  await clinician.waitForSelector('button[value=allow]');
  await look(clinician, 'consent-for-another');
  const stillTicked = await clinician.isChecked('input[type=checkbox][value="patient/Patient.rs"]');
  await agreeToSensitive(clinician);
  await clinician.click('button[value=allow]');
  const granted = await exchange((await landed(clinician)).code);

  // The clinician's own pages.
  await clinician.goto(`${asked.issuer}/apps`);
  await look(clinician, 'gallery');
  await clinician.click('button.person >> nth=0');
  await look(clinician, 'gallery-chosen');
  await clinician.click('a[href$="/manage"]');
  await clinician.waitForSelector('.end summary');
  await look(clinician, 'grants');
  await clinician.click('.end summary');
  await look(clinician, 'grants-ending');
  await clinician.click('.button-danger');
  await clinician.waitForSelector('.notice');
  await look(clinician, 'grants-ended');
  await clinician.click('.sign-out button');
  await clinician.waitForSelector('main a.button');
  await look(clinician, 'signed-out');

  // A patient, who says no.
  const patient = await open();
  await patient.goto(request('browser-app', 'launch/patient openid fhirUser offline_access patient/Condition.rs patient/Observation.rs'));
  await signIn(patient, 'patient');
  await patient.waitForSelector('button[value=deny]');
  await look(patient, 'consent-of-a-patient');
  await patient.click('button[value=deny]');
  const { error } = await landed(patient);

  // Who has not signed in, and an app that nobody knows.
  const stranger = await open();
  await stranger.goto(`${asked.issuer}/manage`);
  await look(stranger, 'sign-in');
  await stranger.goto(request('no-such-app', 'patient/*.rs'));
  await look(stranger, 'error');
  return { seen, stillTicked, granted, error };
});
