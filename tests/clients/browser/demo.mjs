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
  const alone = { who: await text(page, '#who'), scope: await text(page, '#scope'), panels: await panels(page) };

  await page.goto(`${asked.issuer}/apps`);
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
  const granted = await page.locator('summary:has-text("End access")').count();
  await page.locator('summary:has-text("End access")').first().click();
  await page.locator('button:has-text("end access")').first().click();
  await page.waitForSelector('text=The access has ended');
  await app.evaluate(() => { document.body.dataset.state = ''; });
  await app.click('#more');
  await shown(app);
  return { alone, launched, renewed, granted, ended: await text(app, '#problem') || await panels(app) };
});
