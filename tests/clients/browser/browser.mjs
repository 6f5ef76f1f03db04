// A browser for a person to act in: headless Chromium.
//
//   node browser.mjs [--without-javascript] [--captcha=<address>]
//
// A line of JSON at a time. In: an act, such as {"act": "press", "name": "Approve"}. Out: {"act": …, …} once it is done.
// Only this machine is reached: what leaves it is caught and answered here. The hosts of a captcha's provider are played by its
// fake at <address>.

import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'
import { chromium } from 'playwright-core'

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  chromiumSandbox: false, // does not work for root, and there is nobody here to be kept out
  args: [
    '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost',
  ],
})
const context = await browser.newContext({
  javaScriptEnabled: !process.argv.includes('--without-javascript'),
  viewport: { width: 1280, height: 800 },
  reducedMotion: 'reduce', // or pictures show colours on their way from light to dark
})
context.setDefaultTimeout(20_000)
await context.grantPermissions(['clipboard-read', 'clipboard-write'])
const page = await context.newPage()

const captcha = process.argv.find((argument) => argument.startsWith('--captcha='))?.slice('--captcha='.length)

// Playwright's own interception leaves out redirects, and this one comes as a redirect.
async function intercepted(page) {
  const wire = await context.newCDPSession(page)
  await wire.send('Fetch.enable', { patterns: [{ urlPattern: 'https://*' }] })
  wire.on('Fetch.requestPaused', (paused) => answer(wire, paused))
  return wire
}
const wire = await intercepted(page)
async function answer(wire, { requestId, request }) {
  const { hostname, pathname } = new URL(request.url)
  if (!captcha || !/^(challenges\.cloudflare|([a-z]+\.)?hcaptcha)\.com$/.test(hostname)) {
    const body = Buffer.from('<!doctype html><title>Elsewhere</title><h1>Elsewhere</h1>').toString('base64')
    const responseHeaders = [{ name: 'content-type', value: 'text/html; charset=utf-8' }]
    return wire.send('Fetch.fulfillRequest', { requestId, responseCode: 200, responseHeaders, body })
  }
  try {
    const answer = await fetch(captcha + pathname)
    const responseHeaders = [...answer.headers].map(([name, value]) => ({ name, value }))
    const body = Buffer.from(await answer.arrayBuffer()).toString('base64')
    await wire.send('Fetch.fulfillRequest', { requestId, responseCode: answer.status, responseHeaders, body })
  } catch {
    await wire.send('Fetch.failRequest', { requestId, errorReason: 'BlockedByClient' })
  }
}

const scripted = !process.argv.includes('--without-javascript')
const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

// Through the debugger, which no content security policy keeps out.
async function inspected() {
  if (!await page.evaluate(() => 'axe' in window)) await page.evaluate(await readFile(axe, 'utf8'))
  const { violations, incomplete } = await page.evaluate(() => window.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  }))
  const contrast = incomplete.filter((it) => it.id === 'color-contrast')
  return [...violations, ...contrast].map(({ id, nodes }) => ({ id, at: nodes.map((node) => node.html.slice(0, 160)) }))
}

const focused = () => page.evaluate(() => {
  const it = document.activeElement
  const box = it.getBoundingClientRect()
  const { outlineStyle, outlineWidth } = getComputedStyle(it.closest('label.choice') ?? it)
  return {
    tag: it.tagName.toLowerCase(),
    name: (it.labels?.[0]?.innerText ?? it.innerText ?? '').split('\n')[0].trim(),
    ticked: it.checked ?? null,
    seen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 && box.bottom > 0 && box.top < innerHeight,
  }
})

const violations = []
page.on('console', (message) => { if (message.text().includes('Content Security Policy')) violations.push(message.text()) })

// How long a page must have been in view, and a little.
const MOMENT = 800

const strikes = {
  mouse: (_, x, y) => page.mouse.click(x, y),
  touch: async (_, x, y) => {
    await wire.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [{ x, y }] })
    await wire.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] })
  },
  keyboard: async (button) => {
    await button.focus()
    await page.keyboard.press('Enter')
  },
  // A key that was held down before the page was there.
  'held key': async (button) => {
    await button.focus()
    await wire.send('Input.dispatchKeyEvent', { type: 'keyDown', key: 'Enter', code: 'Enter', text: '\r', windowsVirtualKeyCode: 13, autoRepeat: true })
    await wire.send('Input.dispatchKeyEvent', { type: 'keyUp', key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13 })
  },
  script: (button) => button.evaluate((it) => it.click()),
}

const acts = {
  open: ({ url }) => page.goto(url),
  fill: ({ label, value }) => page.getByLabel(label, { exact: true }).fill(value),
  /** As a person does who looks at the page first. */
  press: async ({ name, clicks = 1 }) => {
    const button = page.getByRole('button', { name, exact: true })
    await button.waitFor()
    if (await button.getAttribute('data-deliberate') !== null) await page.waitForTimeout(MOMENT)
    await button.click({ clickCount: clicks })
  },
  /** Presses what may not be there to be pressed, at once and where it would be. */
  strike: async ({ name, by, again = false, times = 1 }) => {
    const button = page.locator('button', { hasText: name })
    // A window before it has closed: Playwright has every page believe that it is in front.
    if (again) await page.evaluate(() => { dispatchEvent(new Event('focus')) })
    await button.evaluate((it) => it.scrollIntoView())
    const box = await button.boundingBox()
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]
    for (let time = 0; time < times; time++) {
      if (time > 0) await page.waitForTimeout(150)
      await strikes[by](button, x, y)
    }
  },
  pause: ({ milliseconds }) => page.waitForTimeout(milliseconds),
  /** Opens the address in a window of its own, presses the button there, and tells whether the window still knows who opened it. */
  popup: async ({ url, name }) => {
    const [popup] = await Promise.all([context.waitForEvent('page'), page.evaluate((url) => { window.open(url) }, url)])
    await intercepted(popup)
    await popup.getByRole('button', { name, exact: true }).waitFor()
    await popup.waitForTimeout(MOMENT)
    await popup.getByRole('button', { name, exact: true }).click()
    await popup.getByRole('heading', { level: 1, name: 'Elsewhere' }).waitFor()
    const opener = await popup.evaluate(() => window.opener !== null)
    await popup.close()
    return { opener }
  },
  /** Keys, one after the other, and what has the focus then. */
  keys: async ({ keys }) => {
    for (const key of keys) await page.keyboard.press(key)
    return focused()
  },
  enter: () => page.keyboard.press('Enter'),
  type: ({ text }) => page.keyboard.type(text),
  choose: ({ label }) => page.getByRole('radio', { name: label }).check(),
  tick: ({ label }) => page.getByRole('checkbox', { name: label }).check(),
  untick: ({ label }) => page.getByRole('checkbox', { name: label }).uncheck(),
  /** Waits for a page of that heading. */
  reach: async ({ heading }) => {
    await page.getByRole('heading', { level: 1, name: heading }).waitFor()
    return { url: page.url(), text: await page.locator('body').innerText(), violations }
  },
  /** Reads another page beside this one. */
  peek: async ({ url }) => {
    const other = await context.newPage()
    await other.goto(url)
    const text = await other.locator('body').innerText()
    await other.close()
    return { text }
  },
  /** What a screen reader is told, as Playwright writes it down. */
  tree: async () => ({ tree: await page.locator('body').ariaSnapshot() }),
  follow: ({ name }) => page.getByRole('link', { name, exact: true }).click(),
  back: async () => { await page.goBack() },
  forward: async () => { await page.goForward() },
  reload: async () => { await page.reload() },
  /** Waits until the page says so. */
  says: ({ text }) => page.getByText(text).waitFor(),
  /** What a double click selects. */
  selected: async ({ at }) => {
    await page.locator(at).dblclick()
    return { text: await page.evaluate(() => getSelection().toString()) }
  },
  /** What the page has put where one pastes from. */
  copied: async () => ({ text: await page.evaluate(() => navigator.clipboard.readText()) }),
  /** What another browser's cookies make of this one. */
  cookies: async ({ header, url }) => {
    await context.clearCookies()
    await context.addCookies(header.split('; ').map((pair) => {
      const at = pair.indexOf('=')
      return { name: pair.slice(0, at), value: pair.slice(at + 1), url }
    }))
  },
  /** The page on a phone and on a desk, light and dark: pictures, and what axe finds against WCAG 2.2 AA and its best practices. */
  picture: async ({ path }) => {
    const [wider, wrong] = [[], []]
    for (const [width, height] of [[360, 740], [1280, 800]]) {
      for (const colorScheme of ['light', 'dark']) {
        await page.setViewportSize({ width, height })
        await page.emulateMedia({ colorScheme })
        await page.screenshot({ path: `${path}-${width}-${colorScheme}.png`, fullPage: true })
        const across = await page.evaluate(() => document.documentElement.scrollWidth)
        if (across > width) wider.push({ width, across })
        if (scripted) wrong.push(...(await inspected()).map((it) => ({ width, colorScheme, ...it })))
      }
    }
    return { wider, wrong }
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line)
  try {
    console.log(JSON.stringify({ act: asked.act, ...await acts[asked.act](asked) ?? {} }))
  } catch (error) {
    console.log(JSON.stringify({ failed: `${error.message}\nat ${page.url()}\n${await page.locator('body').innerText()}` }))
  }
}
await browser.close()
