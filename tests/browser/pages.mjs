// Walks the pages of a site by its own links and judges each: axe 0 in light and dark, no overflow at 320 px, no foreign request, no script that
// the policy stops, no dialog. For the desk and the ISP's worklist (and any site of Nora's HTTP server).
//   node pages.mjs --base http://127.0.0.1:8611 --start /ja/,/en/ [--login /login/TOKEN] [--most 60] [--per-shape 2] [--shots DIR]
// Addresses that differ only in numbers, ids or query values count as one shape; --per-shape of them are visited. Last line: "N passed, N failed".
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { Counter, axe, launch, options, overflow, watch } from './tools.mjs';

const opts = options(process.argv);
const base = String(opts.base).replace(/\/$/, '');
const most = Number(opts.most ?? 60), perShape = Number(opts['per-shape'] ?? 2);
const count = new Counter();
const shape = (url) => url.replace(/=[^&]*/g, '=').replace(/\/[^/?]*\d[^/?]*/g, '/#');
if (opts.shots) mkdirSync(opts.shots, { recursive: true });

const browser = await launch();
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const seen = watch(context, base);
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  count.equal('no cookie before login', await context.cookies(), []);
  if (opts.login) {
    await page.goto(base + opts.login);
    await page.locator('form[action="/login"] button').click();
    await page.waitForLoadState('load');
    const cookies = await context.cookies();
    count.check('login gives one closed cookie', cookies.length === 1 && cookies[0].httpOnly && cookies[0].sameSite === 'Strict', cookies);
  }
  const state = await context.storageState();
  const dark = await browser.newContext({ viewport: { width: 320, height: 800 }, colorScheme: 'dark', bypassCSP: true, storageState: state });
  const light = await browser.newContext({ viewport: { width: 1280, height: 900 }, bypassCSP: true, storageState: state });
  const [darkPage, lightPage] = [await dark.newPage(), await light.newPage()];
  const todo = String(opts.start ?? '/').split(',');
  const done = new Set(), shapes = new Map();
  while (todo.length && done.size < most) {
    const url = todo.shift();
    const s = shape(url);
    if (done.has(url) || (shapes.get(s) ?? 0) >= perShape) continue;
    done.add(url);
    shapes.set(s, (shapes.get(s) ?? 0) + 1);
    const answer = await page.goto(base + url);
    if (!(answer.headers()['content-type'] ?? '').startsWith('text/html')) continue;
    count.check(`${url}: answers`, answer.status() === 200, answer.status());
    count.equal(`${url}: one h1`, await page.locator('h1').count(), 1);
    for (const link of await page.locator('a[href]').evaluateAll((all) => all.filter((a) => !a.hasAttribute('download')).map((a) => a.getAttribute('href')))) {
      if (!link.startsWith('/') || /\.(csv|json|ndjson)(\?|$)|^\/api\//.test(link)) continue;
      todo.push(link.replace(/#.*/, ''));
    }
    for (const [which, p] of [['light 1280 px', lightPage], ['dark 320 px', darkPage]]) {
      await p.goto(base + url);
      await p.evaluate(() => document.querySelectorAll('details').forEach((d) => { d.open = true; }));
      count.equal(`axe: ${url} ${which}`, await axe(p), []);
      count.check(`no overflow: ${url} ${which}`, (await overflow(p)) <= 0, `${await overflow(p)} px`);
      if (opts.shots) await p.screenshot({ path: path.join(opts.shots, url.replace(/[^\w-]+/g, '_') + (p === darkPage ? '-320' : '') + '.png'), fullPage: true });
    }
  }
  count.equal('no foreign request', seen.foreign, []);
  count.equal('no policy violation, no dialog, no error', seen.problems, []);
  console.log(`${done.size} pages`);
} catch (e) {
  count.check('the walk came to its end', false, String(e).split('\n').slice(0, 3).join(' '));
} finally {
  await browser.close();
}
process.exit(count.end());
