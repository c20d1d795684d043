// The desk in a real browser: every page in ja and en with axe in light and dark, desktop and 320 px; the overview in easy Japanese too;
// no cookie before login, no foreign request, no script; two people name a cluster and confirm a party; hostile banners do nothing.
//   node desk.mjs --desk build/dev/bin/nora-test-desk [--shots DIR]
// Last line: "N passed, N failed".
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { Counter, axe, launch, options, overflow, watch } from './tools.mjs';

const opts = options(process.argv);
const count = new Counter();

async function start(...args) {
  const child = spawn(opts.desk, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const line = await new Promise((resolve, reject) => {
    readline.createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', () => reject(new Error('the desk ended without a word')));
  });
  const about = JSON.parse(line);
  return { ...about, stop: () => new Promise((resolve) => { child.on('exit', resolve); child.stdin.end(); }) };
}

async function loggedIn(browser, desk, user, more = {}) {
  const context = await browser.newContext({ javaScriptEnabled: true, ...more });
  const seen = watch(context, desk.url);
  const page = await context.newPage();
  await page.goto(desk.url + desk.logins[user]);
  await page.locator('form[action="/login"] button').click();
  await page.waitForURL(/\/(ja|en)\//);
  const cookies = await context.cookies();
  count.check(`${user}: one HttpOnly strict cookie after login`, cookies.length === 1 && cookies[0].httpOnly && cookies[0].sameSite === 'Strict', cookies);
  return { context, page, seen };
}

const wantsOperator = (p) => /^\/(list|audit|users)/.test(p);

async function shot(page, name) {
  if (!opts.shots) return;
  mkdirSync(opts.shots, { recursive: true });
  await page.screenshot({ path: path.join(opts.shots, `${name}.png`), fullPage: true });
}

async function walk(browser, desk) {
  const stranger = await browser.newContext();
  const strangerSeen = watch(stranger, desk.url);
  const page = await stranger.newPage();
  for (const lang of ['ja', 'easy', 'en'])
    for (const p of ['/', '/definitions'])
      for (const scheme of ['light', 'dark'])
        for (const width of [1280, 320]) {
          await page.emulateMedia({ colorScheme: scheme });
          await page.setViewportSize({ width, height: 900 });
          const answer = await page.goto(`${desk.url}/${lang}${p}`);
          const name = `public ${lang}${p} ${scheme} ${width}`;
          count.equal(`${name}: status`, answer.status(), 200);
          count.equal(`${name}: axe`, await axe(page), []);
          count.check(`${name}: no overflow`, (await overflow(page)) <= 0, await overflow(page));
          if (p === '/' && scheme === 'light') await shot(page, `overview-${lang}-${width}`);
        }
  count.equal('no cookie before login', await stranger.cookies(), []);
  count.equal('public: no foreign request', strangerSeen.foreign, []);
  count.equal('public: no problem', strangerSeen.problems, []);
  await page.goto(`${desk.url}/en/findings`);
  count.check('a stranger is asked to log in', /log in/i.test(await page.content()));
  await stranger.close();

  const people = { analyst1: await loggedIn(browser, desk, 'analyst1'), ops1: await loggedIn(browser, desk, 'ops1') };
  for (const p of desk.paths) {
    const { page: staff } = people[wantsOperator(p) ? 'ops1' : 'analyst1'];
    for (const lang of ['ja', 'en'])
      for (const [scheme, width] of [['light', 1280], ['dark', 320]]) {
        await staff.emulateMedia({ colorScheme: scheme });
        await staff.setViewportSize({ width, height: 900 });
        const answer = await staff.goto(`${desk.url}/${lang}${p}`);
        const name = `${lang}${p} ${scheme} ${width}`;
        count.equal(`${name}: status`, answer.status(), 200);
        count.equal(`${name}: axe`, await axe(staff), []);
        count.check(`${name}: no overflow`, (await overflow(staff)) <= 0, await overflow(staff));
        count.equal(`${name}: one h1`, await staff.locator('h1').count(), 1);
        if (lang === 'en' && scheme === 'light' && !p.includes('?')) await shot(staff, `desk${p.replace(/[^a-z0-9]+/gi, '-')}`);
      }
  }
  for (const [user, { seen, context }] of Object.entries(people)) {
    count.equal(`${user}: no foreign request`, seen.foreign, []);
    count.equal(`${user}: no problem`, seen.problems, []);
    await context.close();
  }
}

// Two people, no JavaScript: name a cluster, confirm a party, print the form.
async function twoPeople(browser, desk) {
  const one = await loggedIn(browser, { ...desk, logins: { a: desk.second.analyst1 } }, 'a', { javaScriptEnabled: false });
  const two = await loggedIn(browser, { ...desk, logins: { a: desk.second.analyst2 } }, 'a', { javaScriptEnabled: false });
  await one.page.goto(`${desk.url}/en/clusters`);
  await one.page.locator('table a').first().click();
  await one.page.fill('#vendor', 'Muster');
  await one.page.fill('#product', 'DVR <b>family</b>');
  await one.page.getByRole('button', { name: 'Propose name' }).click();
  count.check('a preview before anything is kept', /Name them/.test(await one.page.textContent('h1')));
  await one.page.getByRole('button', { name: 'Propose name' }).click();
  count.equal('nobody accepts their own proposal', await one.page.getByRole('button', { name: /Accept/ }).count(), 0);
  await two.page.goto(one.page.url());
  await two.page.getByRole('button', { name: /Accept/ }).click();
  count.check('accepted by the second person', two.page.url().includes('/devices?'), two.page.url());
  await one.page.reload();
  count.check('the name can be undone in one step', (await one.page.getByRole('button', { name: 'Undo this name' }).count()) === 1);
  await shot(one.page, 'cluster-named');

  const site = `${desk.url}/en/onsite/${desk.onsite}`;
  await one.page.goto(site);
  await one.page.locator('summary').last().click();
  await one.page.selectOption('#role', 'maintainer');
  await one.page.fill('#name', 'Tamagawa Service');
  await one.page.fill('#contact', '+81-3-0000-0001');
  await one.page.getByRole('button', { name: 'Propose', exact: true }).click();
  await two.page.goto(site);
  await two.page.getByRole('button', { name: /^Confirm/ }).click();
  await one.page.goto(`${site}/form`);
  count.check('the printed form names the confirmed maintainer', (await one.page.content()).includes('Tamagawa Service'));
  await one.page.emulateMedia({ media: 'print' });
  count.equal('navigation is not printed', await one.page.locator('header nav').first().isVisible(), false);
  for (const { context, seen } of [one, two]) {
    count.equal('two people: no problem', seen.problems, []);
    await context.close();
  }
}

async function hostile(browser) {
  const desk = await start('--hostile');
  const people = { analyst1: await loggedIn(browser, desk, 'analyst1'), ops1: await loggedIn(browser, desk, 'ops1') };
  const elements = new Set();
  for (const p of desk.paths) {
    const { page } = people[wantsOperator(p) ? 'ops1' : 'analyst1'];
    const answer = await page.goto(`${desk.url}/en${p}`);
    if (answer.status() !== 200) continue;
    // The browser is the independent parser: what it made of the page must hold nothing that the desk did not write.
    for (const name of await page.evaluate(() => [...new Set([...document.querySelectorAll('*')].map((e) => e.localName))])) elements.add(name);
    const bad = await page.evaluate(() => [...document.querySelectorAll('*')].filter((e) => [...e.attributes].some((a) => /^on|^style$|^srcdoc$|^formaction$/i.test(a.name))
      || /^\s*(javascript|data|vbscript):/i.test(e.getAttribute('href') ?? '') || (e.localName === 'form' && !/^\/(?!\/)/.test(e.getAttribute('action') ?? '/'))).map((e) => e.outerHTML.slice(0, 200)));
    count.equal(`hostile ${p}`, bad, []);
  }
  for (const name of ['script', 'style', 'img', 'iframe', 'object', 'embed', 'base', 'math', 'video', 'xss'])
    count.check(`no <${name}> came out of a banner`, !elements.has(name));
  for (const { seen, context } of Object.values(people)) {
    count.equal('hostile: no foreign request', seen.foreign, []);
    count.equal('hostile: no policy violation, no dialog, no error', seen.problems, []);
    await context.close();
  }
  await desk.stop();
}

const browser = await launch();
try {
  const desk = await start();
  await walk(browser, desk);
  await desk.stop();
  const fresh = await start();
  await twoPeople(browser, { ...fresh, second: fresh.logins });
  await fresh.stop();
  await hostile(browser);
} finally {
  await browser.close();
}
process.exit(count.end());
