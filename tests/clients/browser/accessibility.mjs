// Pages in files: axe-core in each width and colour, the width that each needs on the narrowest screen, and the keyboard.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { asked, profile, stage } from './stage.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const NARROWEST = 320;
const PHONE = 390;
const DESKTOP = 1200;
const modes = (colorSchemes, widths) => colorSchemes.flatMap((colorScheme) => widths.map((width) => ({ colorScheme, width })));
const ALL_MODES = modes(['light', 'dark'], [PHONE, DESKTOP]);
// Each colour and each width once: no colour depends on the width.
const MODES = [ALL_MODES[0], ALL_MODES[3]];

// What may be wrong in one width or colour and right in another. All other rules are asked in the first mode alone.
const DEPENDING = ['color-contrast', 'link-in-text-block', 'scrollable-region-focusable', 'target-size'];

const findViolations = async (rules) => {
  const { violations } = await axe.run(document, { resultTypes: ['violations'], ...(rules && { runOnly: rules }) });
  const tell = (node) => `${node.html.slice(0, 160)} ${[...node.any, ...node.all, ...node.none].map((check) => check.message)}`;
  return violations.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map(tell).join(' | ')}`);
};

const measureWidth = () => ({
  tooWide: Math.max(document.documentElement.scrollWidth - document.documentElement.clientWidth, 0),
  cut: [...document.querySelectorAll('button, .button, summary, label, h1, h2, h3, legend, .brand')]
    .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== 'inline')
    .map((one) => one.textContent.trim().replace(/\s+/g, ' ').slice(0, 80)),
});

// Where the focus is: its place in the document, and whether it can be seen.
const seeFocus = () => {
  const one = document.activeElement;
  const rings = [one, one.closest('.choice, .answer')].filter(Boolean).map((ring) => getComputedStyle(ring));
  return {
    isOver: one === document.body,
    place: [...document.querySelectorAll('*')].indexOf(one),
    isSeen: rings.some((ring) => ring.outlineStyle !== 'none' && parseFloat(ring.outlineWidth) >= 2),
    name: one.outerHTML.slice(0, 120),
  };
};

async function walk(page) {
  const steps = [];
  for (let count = 0; count < 200; count += 1) {
    await page.keyboard.press('Tab');
    const step = await page.evaluate(seeFocus);
    if (step.isOver || step.place === steps[0]?.place) break;
    steps.push(step);
  }
  return {
    outOfOrder: steps.filter((step, index) => index > 0 && step.place < steps[index - 1].place).map((step) => step.name),
    unseen: steps.filter((step) => !step.isSeen).map((step) => step.name),
    steps: steps.length,
  };
}

await stage(async (browser, complaints) => {
  // A colour that is still changing is none of ours.
  const context = await profile(browser, complaints, { reducedMotion: 'reduce' });
  const found = {};
  for (const name of asked.pages) {
    const page = await context.newPage();
    await page.setContent(readFileSync(join(asked.folder, `${name}.html`), 'utf8'));
    found[name] = { violations: [], modes: 0 };
    if (asked.axe.includes(name)) {
      await page.evaluate(axe);
      const wanted = asked.allModes.includes(name) ? ALL_MODES : MODES;
      for (const { colorScheme, width } of wanted) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 844 });
        const violations = await page.evaluate(findViolations, found[name].modes++ ? DEPENDING : null);
        found[name].violations.push(...violations.map((one) => `${colorScheme} ${width}: ${one}`));
      }
    }
    if (asked.pictures) {
      for (const { colorScheme, width } of ALL_MODES) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 844 });
        await page.screenshot({ path: join(asked.pictures, `${name}-${width}-${colorScheme}.png`), fullPage: true });
      }
    }
    await page.setViewportSize({ width: NARROWEST, height: 844 });
    Object.assign(found[name], await page.evaluate(measureWidth));
    if (asked.keyboard.includes(name)) found[name].keyboard = await walk(page);
    await page.close();
  }
  return found;
});
