// fhirclient's browser build writes, from a page of another origin.
import { allow, choosePatient, asked, profile, signIn, stage, told } from './stage.mjs';

await stage(async (browser, complaints) => {
  const page = await (await profile(browser, complaints)).newPage();
  await page.goto(`${asked.origin}/launch.html`);
  await signIn(page, 'doctor');
  await choosePatient(page, 'pat-a');
  await allow(page);
  return told(page, 'writing.html');
});
