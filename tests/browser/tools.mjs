// Shared by the browser tests: start Chromium, count checks, run axe, watch what a page asks for.
import { createRequire } from 'node:module';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
export const sourceRoot = path.resolve(here, '../..');

function modules() {
  for (const dir of [process.env.NORA_NODE_MODULES, path.join(sourceRoot, 'build/browser'), here])
    if (dir && existsSync(path.join(dir, 'node_modules/playwright-core'))) return createRequire(path.join(dir, 'index.js'));
  throw new Error('playwright-core is missing: run tests/browser/install.sh (make deps does it)');
}
const load = modules();
export const { chromium } = load('playwright-core');
const axeSource = readFileSync(load.resolve('axe-core/axe.min.js'), 'utf8');

export function options(argv) {
  const out = { code: [] };
  for (let i = 2; i < argv.length; ++i) {
    const name = argv[i].replace(/^--/, '');
    const value = i + 1 < argv.length && !argv[i + 1].startsWith('--') ? argv[++i] : true;
    if (name === 'code') out.code.push(value);
    else out[name] = value;
  }
  return out;
}

export class Counter {
  passed = 0;
  failed = 0;
  check(what, good, detail = '') {
    if (good) this.passed++;
    else {
      this.failed++;
      console.log(`FAILED: ${what}${detail === '' ? '' : ': ' + (typeof detail === 'string' ? detail : JSON.stringify(detail))}`);
    }
    return good;
  }
  equal(what, got, wanted) { return this.check(what, JSON.stringify(got) === JSON.stringify(wanted), `got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`); }
  end() {
    console.log(`${this.passed} passed, ${this.failed} failed`);
    return this.failed === 0 && this.passed > 0 ? 0 : 1;
  }
}

export async function launch() {
  const root = typeof process.getuid === 'function' && process.getuid() === 0;
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [...(root ? ['--no-sandbox'] : []), '--disable-dev-shm-usage', '--disable-background-networking', '--disable-component-update', '--no-first-run'],
  });
}

// Records every request, page error and policy violation of a context. Loopback only: anything else is a failure.
export function watch(context, base) {
  const seen = { foreign: [], problems: [], requests: 0 };
  const host = new URL(base).host;
  context.on('request', (r) => {
    seen.requests++;
    if (!/^https?:/.test(r.url()) || new URL(r.url()).host !== host) seen.foreign.push(r.url());
  });
  context.on('console', (m) => {
    if (/Content Security Policy|Refused to|Trusted ?Type/i.test(m.text())) seen.problems.push(m.text());
  });
  context.on('weberror', (e) => seen.problems.push(String(e.error())));
  context.on('dialog', (d) => { seen.problems.push(`dialog: ${d.message()}`); d.dismiss().catch(() => {}); });
  return seen;
}

// All violations of WCAG 2.2 A and AA and of axe's best practices, as short lines. What is fading in is finished first: half a fade has half
// the contrast, and that is no fault of the page. Endless animations (a spinner) stay as they are.
export async function axe(page) {
  await page.evaluate(() => {
    for (const animation of document.getAnimations()) {
      if (animation.effect?.getComputedTiming().endTime !== Infinity) animation.finish();
    }
  });
  await page.evaluate(axeSource);
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  return result.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target.join(' ')} (${n.any.concat(n.all).map((c) => c.message).join('; ').slice(0, 200)})`).join(' | ')}`);
}

export async function overflow(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}
