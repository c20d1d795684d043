// Reads the output of `nora demo --headless --json` (its last line is the summary) and checks what must hold, one line per check.
// Usage: node check_summary.mjs OUTPUT_FILE EXIT_CODE. Last line: "N passed, N failed".
import { readFileSync } from 'node:fs';

const [file, exitCode] = process.argv.slice(2);
const lines = readFileSync(file, 'utf8').trim().split('\n');
let s = {};
try { s = JSON.parse(lines.at(-1)); } catch (e) { console.log('the last line is not JSON:', lines.at(-1)); }
let passed = 0, failed = 0;
const check = (what, ok, seen) => { if (ok) passed++; else { failed++; console.log(`FAILED: ${what}: ${JSON.stringify(seen)}`); } };

check('exit code 0', exitCode === '0', exitCode);
check('every true device is found', s.devices_true >= 18 && s.devices_found === s.devices_true, [s.devices_found, s.devices_true]);
for (const zero of ['false_devices', 'frames_outside_mandate', 'credential_bytes_sent', 'wrong_lines']) check(`${zero} = 0`, s[zero] === 0, s[zero]);
check('every known product is named', s.identified_products >= s.devices_true - 4, [s.identified_products, s.devices_true]);
check('the four unknown devices form one cluster', s.clusters === 1, s.clusters);
check('findings of every pattern', ['A', 'B', 'C', 'D'].every((p) => s.by_pattern?.[p] > 0), s.by_pattern);
check('findings add up by pattern', s.findings === ['A', 'B', 'C', 'D'].reduce((n, p) => n + (s.by_pattern?.[p] ?? 0), 0), [s.findings, s.by_pattern]);
check('one list per ISP', s.lists >= 2, s.lists);
check('notices were sent', s.notices_sent > 0, s.notices_sent);
check('the doubled account is ambiguous', s.ambiguous >= 1, s.ambiguous);
check('self-check within 60 s', s.selfcheck_seconds > 0 && s.selfcheck_seconds <= 60, s.selfcheck_seconds);
check('fixed is proven', s.fixed_proven >= 1, s.fixed_proven);
check('isolated and released', s.isolated_and_released === true || s.isolated_and_released >= 1, s.isolated_and_released);
check('one on-site case', s.onsite_cases >= 1, s.onsite_cases);
check('the sighting joined its line', s.sighting_joined === true || s.sighting_joined >= 1, s.sighting_joined);
check('every audit log verifies', s.audit_ok === true, s.audit_ok);
check('seconds are counted', s.seconds > 0 && s.seconds < 300, s.seconds);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
