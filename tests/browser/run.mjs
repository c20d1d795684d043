// The owner's path in a real browser: front, notice by code, live self-check, "unplugged", check again, with JavaScript on and off, in three
// languages; axe on every page in light and dark, desktop and 320 px; no cookie, no foreign request, at most 15 KB.
//   node run.mjs --base http://127.0.0.1:8610 --code 7KQ4-M2XD-9RTC [--code …] [--expect red] [--shots DIR]   against a running portal
//   node run.mjs --self --nora build/dev/bin/nora --center build/dev/bin/nora-test-center                     starts both itself
// --expect flip (default): red, then "unplugged" at the portal, then green (a code is used up; --self makes enough of them).
// --expect red | green: one check with that verdict, and nothing is told.
// Last line: "N passed, N failed".
import { spawn } from 'node:child_process';
import { mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { Counter, axe, launch, options, overflow, sourceRoot, watch } from './tools.mjs';

const opts = options(process.argv);
const count = new Counter();
const langs = ['ja', 'easy', 'en'];
const words = {
  ja: { verdictRed: '危険な状態', verdictGreen: '直りました', wrong: '見つかりません', never: '求めることは', lang: 'ja' },
  easy: { verdictRed: '危', verdictGreen: '直', wrong: 'ありません', never: 'パスワード', lang: 'ja' },
  en: { verdictRed: 'dangerous', verdictGreen: 'fixed', wrong: 'no notice', never: 'never', lang: 'en' },
};

async function firstLine(child) {
  for await (const line of readline.createInterface({ input: child.stdout })) return line;
  throw new Error('the program ended without a word');
}

async function startSelf() {
  const dir = mkdtempSync(path.join(tmpdir(), 'nora-browser-'));
  const socket = path.join(dir, 'center.sock');
  const center = spawn(opts.center, [socket, '20261125'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const codes = JSON.parse(await firstLine(center)).codes;
  const portal = spawn(opts.nora, ['portal', '--json', '--listen', '127.0.0.1:0', '--center', socket, '--messages', path.join(sourceRoot, 'data/messages'),
    '--web', path.join(sourceRoot, 'web'), '--store', `sqlite:${path.join(dir, 'portal.db')}`, '--key-dir', path.join(dir, 'keys'),
    '--scan-address', '192.0.2.10', '--scan-address', '2001:db8:0:10::10', '--phone', '0120-000-000', '--contact', 'survey@authority.example'],
  { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  portal.stderr.on('data', (d) => { errors += d; });
  const base = JSON.parse(await firstLine(portal)).url.replace(/\/$/, '');
  const stop = async () => {
    const gone = new Promise((resolve) => portal.on('exit', (code, signal) => resolve(code ?? signal)));
    portal.kill('SIGTERM');
    count.equal('nora portal ends cleanly on SIGTERM', await gone, 0);
    count.check('nora portal logged no error', !/ error /.test(errors), errors.slice(0, 500));
    center.stdin.end();
    rmSync(dir, { recursive: true, force: true });
  };
  return { base, codes, stop };
}

const hasJs = (js) => (js ? 'JavaScript on' : 'JavaScript off');

async function submit(page, button) { await button.click({ noWaitAfter: true }); }

// Presses "check now" and watches the lines come while the response is still open.
async function runCheck(page, name) {
  await page.locator('input[name=consent]').first().check();
  const begin = Date.now();
  await submit(page, page.locator('form[action$="/check"] button').first());
  await page.locator('.live li').first().waitFor({ timeout: 10_000, state: 'attached' });
  const first = Date.now() - begin;
  const counts = new Set();
  let verdict = null;
  while (Date.now() - begin < 75_000) {
    counts.add(await page.locator('.live li').count());
    if (await page.locator('#verdict').count()) { verdict = await page.locator('#verdict').getAttribute('data-verdict'); break; }
    await page.waitForTimeout(40);
  }
  await page.waitForLoadState('load');
  const seconds = (Date.now() - begin) / 1000;
  count.check(`${name}: first line within 2 s`, first <= 2000, `${first} ms`);
  count.check(`${name}: verdict within 60 s`, verdict !== null && seconds <= 60, `${seconds} s`);
  count.check(`${name}: lines came one by one`, counts.size >= 3, [...counts]);
  count.check(`${name}: "checking" is hidden at the end`, (await page.locator('.live .wait:visible').count()) === 0);
  return { verdict, seconds };
}

async function ownerPath(browser, base, lang, js, code, expect) {
  const name = `${lang}, ${hasJs(js)}`;
  const context = await browser.newContext({ javaScriptEnabled: js, viewport: { width: 1280, height: 900 }, locale: lang === 'en' ? 'en-US' : 'ja-JP' });
  const seen = watch(context, base);
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const w = words[lang];
  try {
    await page.goto(`${base}/${lang}/`);
    count.equal(`${name}: html lang`, await page.locator('html').getAttribute('lang'), w.lang);
    await page.keyboard.press('Tab');
    count.check(`${name}: Tab shows the skip link first`, await page.locator('.skip').evaluate((e) => e === document.activeElement && e.getBoundingClientRect().left >= 0));

    await page.locator('#code').fill('7KQ4-M2XD-9RTX');
    await submit(page, page.locator('form[action$="/code"] button'));
    await page.locator('#code-error').waitFor();
    count.check(`${name}: an unknown code says so`, (await page.locator('#code-error').innerText()).includes(w.wrong));

    await page.locator('#code').fill(code.toLowerCase().replaceAll('-', ' '));
    await submit(page, page.locator('form[action$="/code"] button'));
    await page.waitForURL(`**/${lang}/k/${code}`);
    count.equal(`${name}: one h1`, await page.locator('h1').count(), 1);
    if (expect !== 'green') {
      count.check(`${name}: status line has icon and word`, (await page.locator('.status svg').count()) >= 1 && (await page.locator('.status h1').innerText()).length > 5);
      count.check(`${name}: one to three steps`, [1, 2, 3].includes(await page.locator('.steps > li').count()));
    }
    await page.locator('details summary').first().click();
    count.check(`${name}: "is it genuine" opens`, (await page.locator('details').first().innerText()).includes(w.never));
    const text = await page.locator('main').innerText();
    count.check(`${name}: times in Japan and UTC`, /UTC/.test(text) && (lang === 'en' ? /JST/.test(text) : /時/.test(text)));
    count.check(`${name}: no text is missing`, !/portal\.|exposure\.|advice\./.test(await page.locator('body').innerText()));

    const other = lang === 'en' ? 'ja' : 'en';
    await page.locator(`header nav a[href^="/${other}/"]`).click();
    await page.waitForURL(`**/${other}/k/${code}`);
    count.equal(`${name}: the language switch keeps the notice`, await page.locator('html').getAttribute('lang'), words[other].lang);
    await page.goBack();
    await page.waitForURL(`**/${lang}/k/${code}`);

    await submit(page, page.locator('form[action$="/check"] button').first());  // without the consent
    await page.waitForTimeout(200);
    count.check(`${name}: no check without consent`, page.url().endsWith(`/k/${code}`));
    const first = await runCheck(page, `${name}, first check`);
    if (expect === 'green') {
      count.equal(`${name}: verdict`, first.verdict, 'green');
    } else {
      count.equal(`${name}: verdict`, first.verdict, 'red');
      count.check(`${name}: red says it in words`, (await page.locator('#verdict').innerText()).includes(w.verdictRed));
      count.check(`${name}: red page has steps`, (await page.locator('.steps > li').count()) >= 1);
    }
    count.check(`${name}: says what was not checked`, (await page.locator('main ul li').count()) >= 3);
    if (expect === 'flip') {
      await page.locator(`a.btn[href="/${lang}/k/${code}"]`).first().click();
      await page.waitForURL(`**/${lang}/k/${code}`);
      await page.locator('input[name=what][value=unplugged]').check();
      await submit(page, page.locator('form[action$="/tell"] button'));
      await page.waitForURL('**/tell');
      count.equal(`${name}: thanks`, await page.locator('.status').count(), 1);
      const second = await runCheck(page, `${name}, second check`);
      count.equal(`${name}: verdict after unplugging`, second.verdict, 'green');
      count.check(`${name}: green says it in words`, (await page.locator('#verdict').innerText()).includes(w.verdictGreen));
    }
    if (opts.shots) await page.screenshot({ path: path.join(opts.shots, `verdict-${lang}-${js ? 'js' : 'nojs'}.png`), fullPage: true });
    for (const doc of ['how', 'access']) {
      await page.locator(`footer a[href="/${lang}/${doc}"]`).click();
      await page.waitForURL(`**/${lang}/${doc}`);
      count.equal(`${name}: ${doc} has one h1`, await page.locator('h1').count(), 1);
    }
  } catch (e) {
    count.check(`${name}: the path can be walked`, false, `${String(e).split('\n')[0]} at ${page.url()}`);
  }
  count.equal(`${name}: no cookie`, await context.cookies(), []);
  count.equal(`${name}: no foreign request`, seen.foreign, []);
  count.equal(`${name}: no policy violation, no dialog, no error`, seen.problems, []);
  await context.close();
}

async function looks(browser, base, code) {
  const pages = (lang) => [[`/${lang}/`, 'front'], [`/${lang}/k/${code}`, 'notice'], [`/${lang}/how`, 'how'], [`/${lang}/access`, 'access'], [`/${lang}/nothing`, 'missing']];
  for (const lang of langs)
    for (const colorScheme of ['light', 'dark'])
      for (const width of [1280, 320]) {
        // The policy would stop axe's own evaluation helpers; the path above runs with it.
        const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme, bypassCSP: true });
        const page = await context.newPage();
        for (const [url, what] of pages(lang)) {
          const name = `${lang} ${what} ${colorScheme} ${width} px`;
          await page.goto(base + url);
          await page.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true; }));
          count.equal(`axe: ${name}`, await axe(page), []);
          count.check(`no overflow: ${name}`, (await overflow(page)) <= 0, `${await overflow(page)} px`);
          const small = await page.locator('.btn:visible').evaluateAll((all) => all.filter((b) => b.getBoundingClientRect().height < 47.5).map((b) => b.textContent));
          count.equal(`buttons are 48 px high: ${name}`, small, []);
          if (opts.shots) await page.screenshot({ path: path.join(opts.shots, `${what}-${lang}-${colorScheme}-${width}.png`), fullPage: true });
        }
        await context.close();
      }
}

// The pages that only a form leads to: verdicts, thanks, errors.
async function formPages(browser, base, lang, code) {
  const context = await browser.newContext({ viewport: { width: 320, height: 800 }, bypassCSP: true });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const judge = async (what) => {
    count.equal(`axe: ${lang} ${what}`, await axe(page), []);
    count.check(`no overflow: ${lang} ${what}`, (await overflow(page)) <= 0);
  };
  await page.goto(`${base}/${lang}/`);
  await page.locator('#code').fill('xx');
  await submit(page, page.locator('form[action$="/code"] button'));
  await page.locator('#code-error').waitFor();
  await judge('wrong code');
  await page.goto(`${base}/${lang}/k/${code}`);
  await runCheck(page, `${lang} form pages`);
  await judge('verdict');
  if (opts.expect === 'flip') {
    await page.goto(`${base}/${lang}/k/${code}`);
    await page.locator('input[name=what][value=stuck]').check();
    await submit(page, page.locator('form[action$="/tell"] button'));
    await page.waitForURL('**/tell');
    await judge('told');
  }
  await page.emulateMedia({ media: 'print' });
  await page.goto(`${base}/${lang}/k/${code}`);
  count.equal(`${lang}: print hides buttons`, await page.locator('.btn:visible').count(), 0);
  await context.close();
}

async function weight(browser, base, code) {
  for (const lang of langs)
    for (const url of [`/${lang}/`, `/${lang}/k/${code}`]) {
      const context = await browser.newContext();
      const page = await context.newPage();
      const sizes = [];
      page.on('requestfinished', (r) => sizes.push(r.sizes().then((s) => s.responseBodySize, () => 0)));
      await page.goto(base + url, { waitUntil: 'networkidle' });
      const total = (await Promise.all(sizes)).reduce((a, b) => a + b, 0);
      count.check(`${url}: at most 15 KB over the wire`, total > 1000 && total <= 15 * 1024, `${total} bytes`);
      await context.close();
    }
}

process.on('unhandledRejection', (e) => count.check('no failure outside of a test', false, String(e).split('\n')[0]));
if (opts.shots) mkdirSync(opts.shots, { recursive: true });
opts.expect ??= 'flip';
const started = opts.self ? await startSelf() : { base: String(opts.base).replace(/\/$/, ''), codes: opts.code, stop: async () => {} };
if (started.codes.length === 0) { console.error('give --self, or --base URL and --code CODE'); process.exit(2); }
const browser = await launch();
let next = 0;
const began = Date.now();
const phase = (what) => process.stderr.write(`${((Date.now() - began) / 1000).toFixed(0)} s: ${what}\n`);
const take = () => started.codes[next++ % started.codes.length];
try {
  for (const lang of langs)
    for (const js of [true, false]) {
      await ownerPath(browser, started.base, lang, js, take(), opts.expect);
      phase(`${lang}, ${hasJs(js)}`);
    }
  await looks(browser, started.base, started.codes.at(-1));
  phase('looks');
  for (const lang of langs) await formPages(browser, started.base, lang, take());
  phase('form pages');
  await weight(browser, started.base, started.codes.at(-1));
} catch (e) {
  count.check('the tests ran to their end', false, String(e).split('\n').slice(0, 3).join(' '));
} finally {
  await browser.close();
  await started.stop();
}
process.exit(count.end());
