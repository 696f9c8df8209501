// An operator at the admin pages, by the keyboard alone, on a phone, without scripts: finds an app and disables it.
import { asked, profile, stage, tabTo } from './stage.mjs';

await stage(async (browser, complaints) => {
  const context = await profile(browser, complaints, { javaScriptEnabled: false, viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  const headings = [];
  let tooWide = 0;

  // What stands on the page that the last key has led to.
  async function read(path) {
    await page.waitForURL((url) => url.pathname === path);
    await page.waitForSelector('h1');
    headings.push(await page.evaluate(() => document.querySelector('h1').textContent.trim().replace(/\s+/g, ' ')));
    tooWide = Math.max(tooWide, await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    ));
  }

  async function press(selector) {
    await tabTo(page, selector);
    await page.keyboard.press('Enter');
  }

  const notice = () => page.evaluate(() => document.querySelector('.notice')?.textContent.trim() ?? '');

  await page.goto(`${asked.admin}/`);
  await read('/sign-in');
  await tabTo(page, '#username');
  await page.keyboard.type(asked.name);
  await tabTo(page, '#password');
  await page.keyboard.type(asked.password);
  await page.keyboard.press('Enter');
  await read('/');
  await press('nav a[href="/clients"]');
  await read('/clients');
  await tabTo(page, '#search');
  await page.keyboard.type(asked.app);
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => url.searchParams.get('search') === asked.app);
  await press('tbody a');
  await read('/clients/show');
  await press('a[href^="/clients/disable"]');
  await read('/clients/disable');
  await press('main form button');
  await read('/clients/show');
  const said = await notice();
  await page.reload();
  const afterReload = await notice();
  await press('.sign-out button');
  await page.waitForURL((url) => url.pathname === '/sign-in');
  return { headings, notice: said, afterReload, afterSignOut: await notice(), tooWide };
});
