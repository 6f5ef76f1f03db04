'use strict'
// A second click is not a second form. If nothing answers, one can try again. A captcha's form sees to it itself.
for (const form of document.querySelectorAll('main form:not(:has(#captcha))')) {
  let sent = false
  form.addEventListener('submit', (event) => {
    if (sent) event.preventDefault()
    sent = true
    setTimeout(() => { sent = false }, 5000)
  })
  addEventListener('pageshow', () => { sent = false })
}
