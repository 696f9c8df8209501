// What `make run` shows: the app by itself and from the gallery, what was agreed to and no more, and the end of it.
import { allow, asked, choosePatient, profile, signIn, stage } from './stage.mjs';

const shown = (page) => page.waitForSelector('body[data-state=shown]');
const text = (page, selector) => page.textContent(selector);
const panels = (page) => page.$$eval('#panels section', (all) => Object.fromEntries(all.map((one) => [
  one.querySelector('h3').textContent, one.querySelectorAll('tr').length || one.querySelector('p')?.textContent])));

await stage(async (browser, complaints) => {
  const context = await profile(browser, complaints);
  const page = await context.newPage();
  await page.goto(asked.app);
  await page.check('input[name=scope] >> nth=1');
  await page.click('#ask button');
  await signIn(page, 'doctor');
  await choosePatient(page, 'pat-a');
  await allow(page);
  await shown(page);
  const look = async () => ({
    who: await text(page, '#who'), scope: await text(page, '#scope'), panels: await panels(page) });
  const alone = await look();
  const words = [await text(page, 'body')];
  await page.reload();
  await shown(page);
  const reloaded = await look();
  await page.goBack();
  const back = { heading: await text(page, 'h1'), link: await page.getAttribute('main a.button-main', 'href') };
  await page.goto(asked.app);
  await shown(page);

  await page.goto(`${asked.issuer}/apps`);
  words.push(await text(page, 'body'));
  await page.click('button.person[value=pat-b]');
  await page.waitForSelector('[aria-current]');
  const opened = context.waitForEvent('page');
  await page.click('form:has(input[value=vital-lines]) button');
  const app = await opened;
  await allow(app);
  await shown(app);
  const launched = { who: await text(app, '#who'), panels: await panels(app) };
  await app.click('#renew');
  await shown(app);
  const renewed = (await text(app, '#problem')) === '';

  await page.goto(`${asked.issuer}/manage`);
  words.push(await text(page, 'body'), await text(app, 'body'));
  const granted = await page.locator('summary:has-text("End access")').count();
  await page.locator('summary:has-text("End access")').first().click();
  await page.locator('button:has-text("end access")').first().click();
  await page.waitForSelector('text=The access has ended');
  await app.evaluate(() => { document.body.dataset.state = ''; });
  await app.click('#more');
  await app.waitForSelector('body[data-state=ended]');
  const ended = { who: await text(app, '#who'), problem: await text(app, '#problem'), panels: await panels(app),
    again: await app.isVisible('#ask button') };

  const own = await (await profile(browser, complaints)).newPage();
  await own.goto(`${asked.issuer}/apps`);
  await signIn(own, 'patient');
  await own.waitForSelector('h1');
  const patient = await text(own, 'body');
  return { alone, reloaded, back, launched, renewed, granted, ended, patient, words: words.join(' ') };
});
