// A browser for a person to act in: headless Chromium.
//
//   node browser.mjs [--without-javascript]
//
// A line of JSON at a time. In: an act, such as {"act": "press", "name": "Approve"}. Out: {"act": …, …} once it is done.
// Only this machine is reached: what leaves it is caught and answered here.

import { createInterface } from 'node:readline'
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
  reducedMotion: 'reduce', // or pictures show colours on their way from light to dark
})
context.setDefaultTimeout(20_000)
const page = await context.newPage()

// Playwright's own interception leaves out redirects, and this one comes as a redirect.
const wire = await context.newCDPSession(page)
await wire.send('Fetch.enable', { patterns: [{ urlPattern: 'https://*' }] })
wire.on('Fetch.requestPaused', ({ requestId }) => wire.send('Fetch.fulfillRequest', {
  requestId,
  responseCode: 200,
  responseHeaders: [{ name: 'content-type', value: 'text/html; charset=utf-8' }],
  body: Buffer.from('<!doctype html><title>Elsewhere</title><h1>Elsewhere</h1>').toString('base64'),
}))

const violations = []
page.on('console', (message) => { if (message.text().includes('Content Security Policy')) violations.push(message.text()) })

const acts = {
  open: ({ url }) => page.goto(url),
  fill: ({ label, value }) => page.getByLabel(label, { exact: true }).fill(value),
  press: ({ name }) => page.getByRole('button', { name, exact: true }).click(),
  choose: ({ label }) => page.getByRole('radio', { name: label }).check(),
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
  /** The page on a phone and on a desk, light and dark. */
  picture: async ({ path }) => {
    const wider = []
    for (const [width, height] of [[360, 740], [1280, 800]]) {
      for (const colorScheme of ['light', 'dark']) {
        await page.setViewportSize({ width, height })
        await page.emulateMedia({ colorScheme })
        await page.screenshot({ path: `${path}-${width}-${colorScheme}.png`, fullPage: true })
        const across = await page.evaluate(() => document.documentElement.scrollWidth)
        if (across > width) wider.push({ width, across })
      }
    }
    return { wider }
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
